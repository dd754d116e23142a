import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { DeployInputs, DeployWorld } from "../../../../src/operator/deploy/world.ts";
import { replan } from "../../../../src/operator/host/replan.ts";
import type { KnownDeploy } from "../../../../src/operator/records/known-deploys.ts";
import { greet } from "../../../../src/operator/runner-link/runner-link.ts";
import { openWith } from "../../../../src/secrets/seal.ts";
import { Journal } from "../../../../src/target/journal.ts";
import { openPayload } from "../../../../src/target/open-payload.ts";
import { Runner } from "../../../../src/target/runner.ts";
import { serve } from "../../../../src/target/socket.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { publicKeyOf } from "../../../../src/transport/keys.ts";
import { exitCodes, Fail } from "../../../../src/util/fail.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { adminKey, inputsOfDeploy, serverSpec } from "../../../helpers/builders/deployable.ts";
import { generateIdentity } from "../../../helpers/builders/identity.ts";
import { baseReport } from "../../../helpers/fakes/base-report.ts";
import { noDeadMan } from "../../../helpers/fakes/dead-man.ts";
import { localHost } from "../../../helpers/fakes/local-host.ts";
import { notedDeploy } from "../../../helpers/fakes/noted-deploy.ts";
import { probeOutput } from "../../../helpers/fakes/probe-output.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const known: KnownDeploy = { host: "web", ...notedDeploy };
const { nonce } = known;
/** The base's clock is of no use, and its hardware is what was noted. */
const here = { machine: known.machine.hardware, now: new Date(0) };

/** What is brought to a base that knows a first definition. */
const inputs = (change: Partial<DeployInputs> = {}) =>
  inputsOfDeploy({ host: "web", definition: "second", ...change });

/** A base whose first build has failed after the first write, with the real runner, seen by an operator who comes anew. */
async function failedBase(options: { confirm?: () => Promise<void>; ponr?: boolean; wiped?: boolean } = {}) {
  const { identity, recipient } = await generateIdentity();
  const later: (() => void)[] = [];
  const works: { sealed: readonly string[]; planDigest: string }[] = [];
  let planDigest = "first";
  const runner: Runner = new Runner({
    journal: new Journal(join(tempDir(), "journal"), () => 1),
    log: silentLog,
    nonce,
    bootId: "base",
    recipient,
    goFile: join(tempDir(), "go"),
    now: () => performance.now(),
    forget: () => {},
    payload: { planDigest },
    replace: async (publicKey, bytes) => {
      const { order } = await openPayload(bytes, { publicKey, nonce }, here);
      planDigest = order.planDigest;
      return planDigest;
    },
    work: async (sealed, ponr) => {
      works.push({ sealed, planDigest });
      if (options.ponr !== false) ponr();
      if (works.length === 1) throw new Fail("no such unit");
    },
    ...noDeadMan,
    report: (...told) => ({ ...baseReport(...told), bootId: "base" }),
    restart: () => new Promise<never>(() => {}),
    later: (_ms, what) => void later.push(what),
  });
  runner.onMessage({ type: "go", planDigest: "first", sealed: "first" }, () => {});
  await new Promise((resolve) => setImmediate(resolve));
  // What came with GO was there for its time.
  if (options.wiped) for (const what of later) what();
  const path = join(tempDir(), "runner.sock");
  const server = await serve(path, runner);
  onTestFinished(() => void server.close());
  const stream = connect(path);
  await once(stream, "connect");
  const link = await greet(stream, 5_000);
  onTestFinished(() => link.close());
  const host: Host = {
    ...localHost().host,
    exec: async (argv) => {
      if (argv[1] === "-c") return { code: 0, stdout: "192.0.2.1 1 192.0.2.10 22\n", stderr: "" };
      expect(argv.slice(0, 2)).toEqual(["sh", "-s"]);
      // A kernel that kexec has started, in a system without a machine-id or host keys.
      const change = { "machine-id": "", "host-keys": "", firmware: "bios", "boot-id": "base" };
      return { code: 0, stdout: probeOutput(argv[2]!, change), stderr: "" };
    },
  };
  const recorded: Omit<KnownDeploy, "host">[] = [];
  const world: DeployWorld = {
    log: silentLog,
    signal: new AbortController().signal,
    now: Date.now,
    connect: () => Promise.reject(new Error("not used")),
    publicKeys: async () => [adminKey],
    mirrorsIn: () => [],
    confirm: options.confirm ?? (async () => {}),
    record: async (one) => void recorded.push(one),
    password: undefined,
  };
  return { base: { host, link }, world, works, recorded, identity };
}

describe("replan", () => {
  it("brings another definition to a base that has failed, and has it worked through with its secrets", async () => {
    const { base, world, works, recorded, identity } = await failedBase();
    const spec = serverSpec({ services: { "ssh.service": { state: "enabled" } } });
    const next = await replan(inputs({ spec }), known, base, world);
    const report = await base.link.follow(base.link.hello.seq, () => {});
    expect(report.outcome).toBe("done");
    expect(works).toHaveLength(2);
    expect(works[1]!.planDigest).toBe(next.planDigest);
    expect(next.planDigest).not.toBe("first");
    // The host keys of the first GO are the runner's to find; the old system that had them is gone.
    expect(works[1]!.sealed[0]).toBe("first");
    const bundle = await openWith(identity, Buffer.from(works[1]!.sealed[1]!, "base64"));
    expect(JSON.parse(Buffer.from(bundle).toString())).toEqual({
      token: Buffer.from("s3cret").toString("base64"),
    });
    expect(next).toMatchObject({ nonce, newSystem: { pins: ["ssh-ed25519 AAAAold"], user: "admin" } });
    // What the first definition enabled is not asked of the second one's system.
    expect(next.newSystem).toMatchObject({ units: ["ssh.service"] });
    const { host: _name, ...noted } = next;
    expect(recorded).toEqual([noted]);
  });

  it("pins the new host key where the definition makes one", async () => {
    const { base, world } = await failedBase();
    const { newSystem } = await replan(inputs({ spec: serverSpec({ hostKeys: "new" }) }), known, base, world);
    expect(newSystem.pins).toEqual([expect.stringMatching(/^ssh-ed25519 /)]);
    expect(newSystem.pins).not.toEqual(known.newSystem.pins);
    expect((await base.link.follow(base.link.hello.seq, () => {})).outcome).toBe("done");
  });

  it("brings all secrets, and a new host key, where those that came with the first GO were wiped", async () => {
    const { base, world, works, identity } = await failedBase({ wiped: true });
    const warned: string[] = [];
    const log = { ...silentLog, warn: (text: string) => void warned.push(text) };
    const { newSystem } = await replan(inputs(), known, base, { ...world, log });
    expect((await base.link.follow(base.link.hello.seq, () => {})).outcome).toBe("done");
    expect(works[1]!.sealed).toHaveLength(1);
    const bundle = await openWith(identity, Buffer.from(works[1]!.sealed[0]!, "base64"));
    const { token, "hostkey:ssh_host_ed25519_key": key } = JSON.parse(Buffer.from(bundle).toString());
    expect(Buffer.from(token, "base64").toString()).toBe("s3cret");
    const made = publicKeyOf(Buffer.from(key, "base64"));
    expect(newSystem.pins).toEqual([made]);
    expect(warned).toContainEqual(expect.stringContaining(`for known_hosts, in their place: web ${made}`));
  });

  it("changes nothing when the definition does not fit, or nobody confirms", async () => {
    const { base, world, works } = await failedBase();
    const elsewhere = serverSpec();
    elsewhere.storage!.disks.system!.match.serial = "NOT-THERE";
    await expect(replan(inputs({ spec: elsewhere }), known, base, world)).rejects.toMatchObject({
      message: "the definition does not fit the machine; the base is as it was",
      exitCode: exitCodes.refused,
    });
    await expect(replan(inputs({ mayWipe: ["DATA"] }), known, base, world)).rejects.toMatchObject({
      exitCode: exitCodes.refused,
    });
    const refusal = new Fail("not confirmed", { exitCode: exitCodes.refused });
    const unsure = await failedBase({ confirm: () => Promise.reject(refusal) });
    await expect(replan(inputs(), known, unsure.base, unsure.world)).rejects.toBe(refusal);
    expect([works.length, unsure.works.length]).toEqual([1, 1]);
  });

  it("is refused by a runner behind which there is an old system", async () => {
    const early = await failedBase({ ponr: false });
    await expect(replan(inputs(), known, early.base, early.world)).rejects.toThrow(
      /^the runner refused: another plan is accepted only when a build failed after the first write/,
    );
    expect(early.recorded).toEqual([]);
  });
});
