import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { bundleRunner } from "../../src/operator/bundle.ts";
import { signedPayload } from "../../src/operator/payload.ts";
import { greet, type RunnerLink } from "../../src/operator/runner-link.ts";
import type { DeployData } from "../../src/schema/deploy.ts";
import type { Plan } from "../../src/schema/plan.ts";
import { digestOf } from "../../src/util/digest.ts";
import { lockOf, serverSpec } from "../helpers/deployable.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const nonce = "e".repeat(64);
let bundle: Uint8Array;

beforeAll(async () => {
  bundle = await bundleRunner();
});

async function payloadOf(definition: string) {
  const plan: Plan = { version: 1, hostname: "web", definition, prepare: [], steps: [] };
  const planDigest = digestOf(plan);
  const order = { version: 1 as const, definition, planDigest, disks: [], mirrors: {}, secrets: [] };
  const work = { plan, order, lock: lockOf(serverSpec()), files: new Map(), debs: new Map() };
  return { planDigest, ...(await signedPayload(work, { nonce, machineId: "m", now: Date.now() })) };
}

/**
 * The bundle as the base starts it, with a /run and processes of its own, and without the right to restart this machine, which no
 * case here comes to.
 */
async function base() {
  const state = tempDir();
  const first = await payloadOf("first");
  const deploy: DeployData = {
    version: 1,
    nonce,
    publicKey: first.publicKey,
    machineId: "m",
    oldBootId: "b",
    hostname: "web",
    network: { links: [], dns: [] },
    deadManSeconds: 600,
  };
  mkdirSync(join(state, "imgbuild"), { mode: 0o700 });
  const at = (name: string) => join(state, "imgbuild", name);
  writeFileSync(at("deploy.json"), JSON.stringify(deploy));
  writeFileSync(at("payload.tar.gz"), first.payload);
  writeFileSync(at("runner.cjs"), bundle);
  let child: ChildProcess | undefined;
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "close");
  };
  onTestFinished(kill);
  /** Starts it, anew where it runs already, and attaches. */
  const start = async (): Promise<RunnerLink> => {
    await kill();
    child = spawn(
      "setpriv",
      [
        ...["--bounding-set", "-sys_boot", "--inh-caps", "-sys_boot"],
        ...["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-ec"],
        'mount --bind "$1" /run; shift; exec "$@"',
        ...["sh", state, process.execPath, "/run/imgbuild/runner.cjs"],
      ],
      { stdio: ["ignore", "inherit", "inherit"] },
    );
    for (let attempt = 0; ; attempt += 1) {
      const stream = connect(at("runner.sock"));
      try {
        await once(stream, "connect");
        const link = await greet(stream, 10_000);
        onTestFinished(() => link.close());
        return link;
      } catch (error) {
        if (attempt > 100) throw error;
        await sleep(100);
      }
    }
  };
  return { start, at, planDigest: first.planDigest };
}

describe("the runner's bundle", () => {
  it("greets with the deploy's nonce and plan, through a socket and with a key that are root's alone", async () => {
    const { start, at, planDigest } = await base();
    const { hello } = await start();
    expect(hello).toMatchObject({ nonce, planDigest, state: "waiting" });
    for (const name of ["runner.sock", "identity", "journal.jsonl"])
      expect((statSync(at(name)).mode & 0o777).toString(8), name).toBe("600");
  });

  it("that was killed behind the first write keeps its key, takes another plan, and has that one when it is killed again", async () => {
    const { start, at } = await base();
    const { hello } = await start();
    writeFileSync(at("go"), "sealed", { mode: 0o600 });
    const ponr = { seq: hello.seq + 1, at: 1, event: { type: "ponr" } };
    appendFileSync(at("journal.jsonl"), `${JSON.stringify(ponr)}\n`);
    const again = await start();
    expect(again.hello).toMatchObject({ state: "failed", recipient: hello.recipient });
    const second = await payloadOf("second");
    const other = await payloadOf("other");
    await expect(again.replace(other.publicKey, second.payload)).rejects.toThrow(/signature/);
    expect(await again.replace(second.publicKey, second.payload)).toBe(second.planDigest);
    expect(readFileSync(at("payload.tar.gz"))).toEqual(Buffer.from(second.payload));
    const third = await start();
    expect(third.hello).toMatchObject({ state: "failed", planDigest: second.planDigest });
  });
});
