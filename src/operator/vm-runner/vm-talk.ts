import type { Duplex } from "node:stream";
import type { BaseReport } from "../../schema/base/journal.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { settlesWithin } from "../../util/promises.ts";
import type { Secret } from "../../util/secret.ts";
import { replayJournal } from "../runner-link/journal-log.ts";
import { sealSecrets } from "../runner-link/payload.ts";
import { greet, type RunnerLink } from "../runner-link/runner-link.ts";

/** On ordinary hardware; an emulated machine gets its scale of it. */
const bootMs = 60_000;
const workMs = 15 * 60_000;
const endMs = 15_000;

/** The machine that the base runs in, and the way to its runner. */
export interface BaseMachine {
  readonly qemu: { readonly shell: Duplex; readonly ended: Promise<string> };
  readonly console: { tail(): string };
  readonly scale: number;
}

/** As with the base of a deploy: it proves itself, gets secrets and GO, and is followed to its report. */
export async function workThroughPlan(
  job: { readonly nonce: string; readonly planDigest: string; readonly secrets: ReadonlyMap<string, Secret> },
  machine: BaseMachine,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<BaseReport> {
  const { nonce, planDigest } = job;
  const { qemu, scale } = machine;
  const link = await log.task("starting the base in a virtual machine", () => greeted(machine, signal));
  const { hello } = link;
  if (hello.state !== "waiting") throw new Fail(`the base refuses: ${hello.message ?? "no reason given"}`);
  if (hello.nonce !== nonce || hello.planDigest !== planDigest)
    throw new Fail("the base does not hold the plan that it was started with");
  link.send({ type: "go", planDigest, sealed: await sealSecrets(hello.recipient, job.secrets) });
  const show = replayJournal(log);
  try {
    const following = link.follow(0, (entry) => show.entry(entry));
    const report = await endsWithin(following, workMs * scale, machine, signal);
    if (report.outcome === "failed")
      throw new Fail(`the base failed: ${report.message ?? "no reason given"}`, {
        ...(report.hint === undefined ? {} : { hint: report.hint }),
      });
    link.send({ type: "restart" });
    await settlesWithin(qemu.ended, endMs * scale);
    return report;
  } finally {
    show.end();
    link.close();
  }
}

async function greeted(machine: BaseMachine, signal: AbortSignal): Promise<RunnerLink> {
  const boundMs = bootMs * machine.scale;
  try {
    return await greet(machine.qemu.shell, boundMs);
  } catch (error) {
    signal.throwIfAborted();
    throw await ending(machine, `the base did not come up within ${boundMs / 1000} s`, error);
  }
}

async function endsWithin<T>(
  work: Promise<T>,
  boundMs: number,
  machine: BaseMachine,
  signal: AbortSignal,
): Promise<T> {
  work.catch(() => {});
  try {
    if (await settlesWithin(work, boundMs)) return await work;
  } catch (error) {
    signal.throwIfAborted();
    throw await ending(machine, messageOf(error), error);
  }
  throw new Fail(`the base was not done within ${Math.round(boundMs / 1000)} s`);
}

/** Where the machine has ended, that is the reason, even if something else was noticed first. */
async function ending({ qemu, console }: BaseMachine, otherwise: string, cause: unknown): Promise<Fail> {
  const ended = await settlesWithin(qemu.ended, 1_000);
  const why = ended ? `the virtual machine ended: ${await qemu.ended}` : otherwise;
  return new Fail(`${why}; its console's end:\n${console.tail()}`, { cause });
}
