import type { z } from "zod";
import type { Health } from "../schema/health.ts";

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

type Of<Type extends HealthInput["type"]> = Omit<Extract<HealthInput, { type: Type }>, "type">;

/**
 * A web server answers with status 200. The connection goes to the new system itself, not to where the URL's name leads; `address`
 * names another. `contains` is a text that must be in the answer, `certificate` what https must show.
 */
export function httpAnswers(url: string, more: Omit<Of<"http">, "url"> = {}): HealthInput {
  return { type: "http", url, ...more };
}

/** The name resolves: `resolves("example.org", { record: "MX", answer: "10 mail.example.org", server: "127.0.0.1" })`. */
export function resolves(name: string, more: Omit<Of<"dns">, "name"> = {}): HealthInput {
  return { type: "dns", name, ...more };
}

/** No unit has failed by then. Every system is checked for it when it has started; this looks again. */
export function noFailedUnits(within: Within = {}): HealthInput {
  return { type: "no-failed-units", ...within };
}
