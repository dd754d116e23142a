import { z } from "zod";

/** The runner's journal and its conversation with the operator: JSON lines over one UNIX socket in the base. */

export const protocolVersion = 2;

export const RunnerState = z.enum(["waiting", "working", "done", "failed"]);

/** What happened, in order. `seq` counts from 1 without gaps; `at` is seconds since the base's kernel started. */
export const JournalEntry = z.strictObject({
  seq: z.int().positive(),
  at: z.number(),
  event: z.discriminatedUnion("type", [
    z.strictObject({ type: z.literal("start"), path: z.string(), doing: z.string() }),
    z.strictObject({
      type: z.literal("end"),
      path: z.string(),
      doing: z.string(),
      ok: z.boolean(),
      seconds: z.number(),
    }),
    z.strictObject({
      type: z.literal("progress"),
      path: z.string(),
      done: z.number(),
      total: z.number(),
      unit: z.string(),
    }),
    z.strictObject({ type: z.literal("info"), message: z.string() }),
    z.strictObject({ type: z.literal("warn"), message: z.string() }),
    z.strictObject({ type: z.literal("ponr") }),
    z.strictObject({
      type: z.literal("state"),
      state: RunnerState,
      message: z.string().optional(),
      hint: z.string().optional(),
    }),
  ]),
});

/** What the base reports of a finished run. */
export const BaseReport = z.strictObject({
  outcome: z.enum(["done", "failed"]),
  ponr: z.boolean(),
  bootId: z.string(),
  peakMemoryMib: z.number(),
  totalMemoryMib: z.number(),
  fetched: z.strictObject({ packages: z.int(), bytes: z.int() }),
  seconds: z.array(z.strictObject({ doing: z.string(), seconds: z.number() })),
  message: z.string().optional(),
  hint: z.string().optional(),
  /** Until the secrets of GO are wiped, counted from this message; 0: they are gone. Absent where nothing can be resumed. */
  secretsSeconds: z.int().min(0).optional(),
});

export const FromRunner = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("hello"),
    protocol: z.int(),
    nonce: z.string(),
    bootId: z.string(),
    state: RunnerState,
    /** Of the last journal entry so far. */
    seq: z.int().min(0),
    /** age recipient made in this boot of the base; secrets are encrypted for it. */
    recipient: z.string(),
    planDigest: z.string().optional(),
    message: z.string().optional(),
    hint: z.string().optional(),
    /** As in the report. */
    secretsSeconds: z.int().min(0).optional(),
  }),
  z.strictObject({ type: z.literal("journal"), entry: JournalEntry }),
  z.strictObject({ type: z.literal("report"), report: BaseReport }),
  z.strictObject({ type: z.literal("refused"), message: z.string(), hint: z.string().optional() }),
  /** The abort is accepted: the machine restarts into its old system in a moment. */
  z.strictObject({ type: z.literal("returning") }),
  /** The payload was accepted; the next GO is about it. */
  z.strictObject({ type: z.literal("replaced"), planDigest: z.string() }),
]);

export const FromOperator = z.discriminatedUnion("type", [
  /** Start: the plan that was confirmed and the secrets, an age file (base64) holding a JSON object name → base64. */
  z.strictObject({ type: z.literal("go"), planDigest: z.string(), sealed: z.string() }),
  /** Send journal entries with `seq` above `after`, then each as it comes. */
  z.strictObject({ type: z.literal("follow"), after: z.int().min(0) }),
  /** Before the first write: restart into the old system. */
  z.strictObject({ type: z.literal("abort") }),
  /** When a build failed after the point of no return: work through the same plan again, with the secrets that came with GO. */
  z.strictObject({ type: z.literal("resume") }),
  /** When a build failed after the point of no return: another payload (base64), signed by this key, for another GO. */
  z.strictObject({ type: z.literal("replace"), publicKey: z.string(), payload: z.base64() }),
  /** After the report: restart through the firmware now. */
  z.strictObject({ type: z.literal("restart") }),
]);

export type RunnerState = z.output<typeof RunnerState>;
export type JournalEntry = z.output<typeof JournalEntry>;
export type JournalEvent = JournalEntry["event"];
export type BaseReport = z.output<typeof BaseReport>;
export type FromRunner = z.output<typeof FromRunner>;
export type FromOperator = z.output<typeof FromOperator>;
