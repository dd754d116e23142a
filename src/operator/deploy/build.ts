import { setTimeout as sleep } from "node:timers/promises";
import { shippedTree } from "../../schema/base/deploy.ts";
import type { BaseReport, JournalEntry } from "../../schema/base/journal.ts";
import { Fail } from "../../util/fail.ts";
import { settlesWithin } from "../../util/promises.ts";
import type { BaseLink } from "../runner-link/base-link.ts";
import { replayJournal } from "../runner-link/journal-log.ts";
import { sealSecrets } from "../runner-link/payload.ts";
import { LinkLost } from "../runner-link/runner-link.ts";
import { howToGoOn } from "../runner-link/secrets-left.ts";
import type { Trail } from "./phases.ts";
import type { Shipped } from "./results.ts";
import { payloadFor } from "./ship.ts";
import { attach, OtherSystem } from "./take-over.ts";
import type { DeployInputs, DeployWorld } from "./world.ts";

/** A machine that starts again and again while it is built has another trouble than its power. */
const mostPowerCuts = 3;
const mib = 2 ** 20;

/** Sends secrets and GO, follows the journal to the report, and lets the machine restart. */
export async function buildInBase(
  inputs: DeployInputs,
  shipped: Shipped,
  world: DeployWorld,
  trail: Trail,
): Promise<void> {
  const followed = await followToReport(inputs, shipped, world, trail);
  if (followed === undefined) return;
  const { report, base } = followed;
  trail.mark({ at: "base report", report });
  if (report.ponr) trail.mark({ at: "ponr" });
  try {
    if (report.outcome === "failed") throw failure(report, inputs.host, world.now());
    base.link.send({ type: "restart" });
    await sleep(500);
  } finally {
    base.close();
  }
}

/** The report, and the link that it came by; undefined where the machine restarted before it came. */
async function followToReport(
  inputs: DeployInputs,
  shipped: Shipped,
  world: DeployWorld,
  trail: Trail,
): Promise<{ readonly report: BaseReport; readonly base: BaseLink } | undefined> {
  const until = world.now() + inputs.waitMs.build;
  const ways = { waitMs: inputs.waitMs.base, went: false };
  let base: BaseLink | undefined = await attach(inputs, shipped, world, ways);
  const journal = journalOf(world, trail);
  let cuts = 0;
  try {
    await sayGo(base, shipped, trail);
    while (base !== undefined) {
      try {
        const report = await followUntil(base, journal, inputs, until - world.now());
        return { report, base };
      } catch (error) {
        world.signal.throwIfAborted();
        if (!(error instanceof LinkLost) || world.now() > until) throw error;
        world.log.warn(`${error.message}; attaching again`);
        base.close();
      }
      base = await attachAgain(inputs, shipped, world, { until, ponr: journal.last().ponr });
      // It was lost on its way.
      if (base?.link.hello.state === "waiting") await sayGo(base, shipped, trail);
      else if (base !== undefined && hasLostPower(base) && cuts < mostPowerCuts) {
        cuts += 1;
        world.log.warn(
          "the machine lost power, and has started the base from its disk; the build begins anew",
        );
        journal.again(base.link.hello.seq);
        await bringAgain(inputs, shipped, base, world);
        await sayGo(base, shipped, trail);
      }
    }
    return undefined;
  } catch (error) {
    base?.close();
    throw error;
  } finally {
    journal.end();
  }
}

/** The base is past the first write, and has neither plan nor secrets: they were in memory alone. */
function hasLostPower({ link: { hello } }: BaseLink): boolean {
  return hello.state === "failed" && hello.planDigest === undefined && hello.secretsSeconds === 0;
}

/** The same plan and tree, for the same nonce and machine; it is used at once, and the machine's clock may be anywhere. */
async function bringAgain(
  inputs: DeployInputs,
  shipped: Shipped,
  { host, link }: BaseLink,
  { log, signal }: DeployWorld,
): Promise<void> {
  if (shipped.packed !== undefined && shipped.packed.archive === undefined)
    throw new Fail("the tree, which the old system had made, was in memory alone", {
      hint: `\`imgbuild resume ${inputs.host} --with DEF\` builds the system of packages that the host fetches`,
    });
  if (shipped.packed !== undefined) {
    // The base has unpacked the archive the first time.
    const { archive, start, tree } = shipped.packed;
    const { size, sha256 } = tree;
    await log.task("sending the tree again", (inner) =>
      host.upload(archive.path, shippedTree, {
        ...{ mode: 0o600, start, size, sha256, signal },
        onProgress: (done) => inner.progress(Math.round(done / mib), Math.round(size / mib), "MiB"),
      }),
    );
  }
  const { payload, publicKey } = await payloadFor(inputs, shipped, undefined);
  if ((await link.replace(publicKey, payload)) !== shipped.planDigest)
    throw new Fail("the base holds another plan than the one confirmed");
}

async function sayGo(
  { link }: BaseLink,
  { planDigest, secrets, hostKeys }: Shipped,
  trail: Trail,
): Promise<void> {
  const bundle = new Map([...secrets, ...hostKeys.secrets]);
  const sealed = await sealSecrets(link.hello.recipient, bundle);
  trail.mark({ at: "sent", base: 0, payload: sealed.length });
  trail.mark({ at: "go" });
  link.send({ type: "go", planDigest, sealed });
}

interface ShownJournal {
  /** Number of the last entry, and whether the first write was among them. */
  readonly last: () => { readonly seq: number; readonly ponr: boolean };
  readonly entry: (entry: JournalEntry) => void;
  /** Another runner goes on from that entry of its own. */
  readonly again: (seq: number) => void;
  readonly end: () => void;
}

function journalOf({ log }: DeployWorld, trail: Trail): ShownJournal {
  let show = replayJournal(log);
  let last = { seq: 0, ponr: false };
  return {
    last: () => last,
    entry: (entry) => {
      const isFirstWrite = entry.event.type === "ponr";
      last = { seq: entry.seq, ponr: last.ponr || isFirstWrite };
      if (isFirstWrite) {
        trail.mark({ at: "ponr" });
        log.info("point of no return: the disks are being written");
      }
      show.entry(entry);
    },
    again: (seq) => {
      show.end();
      show = replayJournal(log);
      last = { ...last, seq };
    },
    end: () => show.end(),
  };
}

async function followUntil(
  { link, open }: BaseLink,
  journal: ShownJournal,
  { slow }: DeployInputs,
  ms: number,
): Promise<BaseReport> {
  const report = link.follow(journal.last().seq, journal.entry, { open, slow });
  if (await settlesWithin(report, Math.max(ms, 1))) return await report;
  link.close();
  throw new Fail("the build did not end within its bound", { hint: "`imgbuild follow` attaches again" });
}

function failure(report: BaseReport, host: string, now: number): Fail {
  const next = report.ponr
    ? `the base stays reachable; ${howToGoOn(report, host, now)}`
    : "no disk was written";
  return new Fail(`the runner failed: ${report.message ?? "no reason given"}`, {
    hint: report.hint === undefined ? next : `${report.hint}; ${next}`,
  });
}

/** Undefined when the machine has restarted after the point of no return: then the new system proves itself, or not. */
async function attachAgain(
  inputs: DeployInputs,
  shipped: Shipped,
  world: DeployWorld,
  { until, ponr }: { readonly until: number; readonly ponr: boolean },
): Promise<BaseLink | undefined> {
  try {
    const waitMs = Math.min(inputs.waitMs.base, until - world.now());
    return await attach(inputs, shipped, world, { waitMs, went: true });
  } catch (error) {
    // We may have missed the first write, and all that came after it; the new system's mark shows it.
    if (!(error instanceof OtherSystem) || !(error.isNew || ponr)) throw error;
    world.log.warn("the machine restarted before its report came; the system that answers is asked instead");
    return undefined;
  }
}
