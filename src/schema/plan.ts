import { z } from "zod";

/**
 * One unit of change as plain data. `kind` names the step; the rest is checked by that step's own strict schema
 * before anything runs. `doing` is what the progress line says.
 */
export const StepData = z.looseObject({ kind: z.string(), doing: z.string() });

export const Plan = z.strictObject({
  version: z.literal(1),
  hostname: z.string(),
  /** Digest of spec and lock; what the report calls `definition`. */
  definition: z.string(),
  /** Before the point of no return: close what is open, verify what is kept. They write no disk. */
  prepare: z.array(StepData).default([]),
  steps: z.array(StepData),
});

export type StepData = z.output<typeof StepData>;
export type Plan = z.output<typeof Plan>;

/** Where the new root filesystem is mounted in the base. */
export const targetRoot = "/mnt/target";
