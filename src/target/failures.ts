import { Fail } from "../util/fail.ts";
import type { Journal } from "./journal.ts";

/** A runner that was started again after a failure knows it from the journal; else the runner before it died at work. */
export function whyItFailed({ entries }: Journal): Fail {
  const last = entries.flatMap(({ event }) => (event.type === "state" ? [event] : [])).at(-1);
  if (last?.state === "failed" && last.message !== undefined)
    return new Fail(last.message, last.hint === undefined ? {} : { hint: last.hint });
  return new Fail("the runner died while it worked", { hint: "its log is /run/imgbuild/runner.log" });
}

export function lostPower(): Fail {
  return new Fail(
    "the machine lost power, or was reset, while its disks were written; it has started the base from there",
    { hint: "the secrets were in memory alone: send them again, with the definition" },
  );
}

export function aborted(): Fail {
  return new Fail("aborted by the operator", { hint: "no disk was written" });
}
