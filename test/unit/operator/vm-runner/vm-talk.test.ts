import { join } from "node:path";
import { duplexPair } from "node:stream";
import { describe, expect, it } from "vitest";
import { workThroughPlan } from "../../../../src/operator/vm-runner/vm-talk.ts";
import { openWith } from "../../../../src/secrets/seal.ts";
import { Journal, journalLog } from "../../../../src/target/journal.ts";
import { Runner, type RunnerWorld } from "../../../../src/target/runner.ts";
import { converse } from "../../../../src/target/socket.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { type Log, silentLog } from "../../../../src/util/log.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { generateIdentity } from "../../../helpers/builders/identity.ts";
import { baseReport } from "../../../helpers/fakes/base-report.ts";
import { noDeadMan } from "../../../helpers/fakes/dead-man.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** A runner as in the base, at the other end of a machine's port. Its machine ends when it restarts. */
async function base(change: Partial<RunnerWorld> = {}) {
  const [ours, theirs] = duplexPair();
  const { identity, recipient } = await generateIdentity();
  const dir = tempDir();
  const journal = new Journal(join(dir, "journal"), () => 1);
  let end = (_how: string) => {};
  const ended = new Promise<string>((resolve) => {
    end = resolve;
  });
  const opened: string[] = [];
  const world: RunnerWorld = {
    ...{
      journal,
      log: journalLog(journal),
      nonce: "n",
      bootId: "b",
      recipient,
      now: () => performance.now(),
      forget: () => {},
      goFile: join(dir, "go"),
    },
    payload: { planDigest: "plan" },
    replace: () => Promise.reject(new Error("not used")),
    work: async (sealed, ponr) => {
      opened.push(Buffer.from(await openWith(identity, Buffer.from(sealed[0]!, "base64"))).toString());
      ponr();
      await world.log.task("unpacking the tree", async (log) => log.progress(10, 10, "MiB"));
    },
    ...noDeadMan,
    report: baseReport,
    restart: () => {
      end("QEMU ended (0)");
      return new Promise<never>(() => {});
    },
    later: () => {},
    ...change,
  };
  converse(theirs, new Runner(world));
  const machine = { qemu: { shell: ours, ended }, console: { tail: () => "last words" }, scale: 1 };
  return { machine, opened, theirs, end };
}

const job = {
  nonce: "n",
  planDigest: "plan",
  secrets: new Map([["page", new Secret("page", Buffer.from("open sesame"))]]),
};
const quiet = { log: silentLog, signal: new AbortController().signal };

describe("work in a virtual machine", () => {
  it("gives the runner its secrets sealed, shows its journal, and ends with the machine", async () => {
    const { machine, opened } = await base();
    const told: string[] = [];
    const log: Log = {
      ...silentLog,
      task: async (doing, work) => {
        told.push(doing);
        return await work(log);
      },
    };
    const report = await workThroughPlan(job, machine, { ...quiet, log });
    expect(report.outcome).toBe("done");
    expect(JSON.parse(opened[0]!)).toEqual({ page: Buffer.from("open sesame").toString("base64") });
    expect(told).toEqual(["starting the base in a virtual machine", "unpacking the tree"]);
    expect(await machine.qemu.ended).toBe("QEMU ended (0)");
  });

  it("tells what failed in the base, with its hint", async () => {
    const { machine } = await base({
      work: async () => {
        throw new Fail("formatting root: too small", { hint: "make it larger" });
      },
    });
    await expect(workThroughPlan(job, machine, quiet)).rejects.toMatchObject({
      message: "the base failed: formatting root: too small",
      hint: "make it larger",
    });
  });

  it.each<[string, Partial<RunnerWorld>, string]>([
    [
      "refuses its payload",
      { payload: { refusal: new Fail("the signature is another") } },
      "the base refuses: the signature is another",
    ],
    ["holds another plan", { payload: { planDigest: "other" } }, "does not hold the plan"],
    ["is of another start", { nonce: "other" }, "does not hold the plan"],
  ])("gives no secret to a base that %s", async (_what, change, message) => {
    const { machine, opened } = await base(change);
    await expect(workThroughPlan(job, machine, quiet)).rejects.toThrow(message);
    expect(opened).toEqual([]);
  });

  it("says that the machine ended, with the end of its console", async () => {
    const never = await base({ work: () => new Promise<void>(() => {}) });
    const outcome = workThroughPlan(job, never.machine, quiet);
    setTimeout(() => {
      never.end("QEMU ended (SIGKILL)");
      never.theirs.end();
    }, 100);
    await expect(outcome).rejects.toThrow(
      "the virtual machine ended: QEMU ended (SIGKILL); its console's end:\nlast words",
    );
  });

  it("is an interruption when it was interrupted, whatever breaks by that", async () => {
    const never = await base({ work: () => new Promise<void>(() => {}) });
    const stop = new AbortController();
    const outcome = workThroughPlan(job, never.machine, { ...quiet, signal: stop.signal });
    setTimeout(() => {
      stop.abort(new Fail("interrupted", { exitCode: 130 }));
      never.theirs.end();
    }, 100);
    await expect(outcome).rejects.toMatchObject({ exitCode: 130 });
  });
});
