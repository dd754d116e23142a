import type { z } from "zod";
import type { Health } from "../schema/spec.ts";

type HealthInput = z.input<typeof Health>;
type Within = { withinSeconds?: number };

/** The unit is active. */
export function unitIsActive(unit: string, within: Within = {}): HealthInput {
  return { type: "unit", unit, ...within };
}

/** Something accepts TCP connections on that port of localhost. */
export function portIsOpen(port: number, within: Within = {}): HealthInput {
  return { type: "port", port, ...within };
}

/** The command exits 0, run as root without a shell. */
export function commandSucceeds(argv: string[], within: Within = {}): HealthInput {
  return { type: "command", argv, ...within };
}
