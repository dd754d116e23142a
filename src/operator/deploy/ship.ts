import { cpioBytes } from "../../archive/cpio.ts";
import { type DeployData, deployWord, type Machine, recordFiles } from "../../schema/base/deploy.ts";
import type { Facts } from "../../schema/facts.ts";
import type { Spec } from "../../schema/spec.ts";
import { isPlainKey } from "../../transport/keys.ts";
import { fingerprintOf } from "../../transport/known-hosts.ts";
import { canonicalJson, digestOf, sha256 } from "../../util/digest.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import { mountPointsOf } from "../build/layers.ts";
import { type DeployRecord, sealRecord } from "../records/sealed-record.ts";
import { signedPayload } from "../runner-link/payload.ts";
import { deployParts } from "../takeover/base-cpio.ts";
import { claim } from "../takeover/claim.ts";
import { shipTree, stageFor } from "../takeover/ship-tree.ts";
import { jump, loadBase, prepare, shipBase, sizeOf } from "../takeover/takeover.ts";
import type { HostRoom } from "../tree/host-room.ts";
import { makeTreeOnHost } from "../tree/host-tree.ts";
import type { PackedTree } from "../tree/packed-tree.ts";
import { treeJobPlan } from "../tree/tree-for-host.ts";
import { tooLarge } from "./confirm.ts";
import { keptHostKeys, ownHostKeys, withMadeKeys } from "./host-keys.ts";
import type { Trail } from "./phases.ts";
import { reportOf } from "./report.ts";
import type { Confirmed, HostKeys, MadeThere, Shipped } from "./results.ts";
import { expectedSystem } from "./verify.ts";
import type { DeployInputs, DeployWorld } from "./world.ts";

const mib = 2 ** 20;
/** Less says nothing of a line. */
const leastForRate = 4 * mib;
/** Of the definition's own files and packages nothing is needed beside a finished tree. */
const inTree = { files: new Map(), debs: new Map() } as const;
/** Beside base and payload: the kit, unpacked, and some room. */
const workExtraMib = 48;
/** Seconds after which a panicked base restarts through the firmware, into the old system. */
const panicSeconds = 20;

/** Brings base and payload to the host, loads the base's kernel beside the running one, and lets it jump. */
export async function shipAndTakeOver(
  inputs: DeployInputs,
  confirmed: Confirmed,
  world: DeployWorld,
  trail: Trail,
): Promise<Shipped> {
  const { old } = confirmed;
  const { signal, log } = world;
  await claim(old, { log, signal });
  const hostKeys = await hostKeysFor(inputs, confirmed, log);
  const newSystem = expectedSystem(inputs, confirmed, hostKeys);
  const shipped: Shipped = { ...confirmed, hostKeys, newSystem };
  trail.mark({ at: "touched", old });
  const record = recordOf(inputs, shipped, trail, world.now());
  const packed = await load(inputs, confirmed, record, world, trail);
  await world.record(record);
  log.info(`the base's host key is ${fingerprintOf(confirmed.identity.baseKey.public)}`);
  await log.task("starting the base", () =>
    jump(old, confirmed.way, signal).catch((error: unknown) => {
      // A connection that breaks now may be the jump itself: what answers next shows it.
      if (!old.closed || signal.aborted) throw error;
      log.warn(`${messageOf(error)}; looking whether the base comes`);
    }),
  );
  const left = { ...shipped, packed };
  trail.mark({ at: "jumped", shipped: left, now: world.now() });
  old.close();
  return left;
}

/** Read while the old system still answers, if they must survive it. */
async function hostKeysFor(
  { spec }: DeployInputs,
  { old, facts, secrets }: Confirmed,
  log: DeployWorld["log"],
): Promise<HostKeys> {
  const { hostKeys, hostname } = spec;
  const own =
    hostKeys === "keep" ? await keptHostKeys(old, facts, log) : ownHostKeys(hostKeys, hostname, secrets);
  return withMadeKeys(own, spec, secrets);
}

/** Everything is on the host then, and its kernel has the base's. Gives the tree that is in its initramfs. */
async function load(
  inputs: DeployInputs,
  confirmed: Confirmed,
  record: DeployRecord,
  world: DeployWorld,
  trail: Trail,
): Promise<Confirmed["packed"]> {
  const { log, signal, now } = world;
  const { base } = inputs;
  const { old, facts, way, room } = confirmed;
  const sent = confirmed.packed?.archive === undefined ? undefined : confirmed.packed;
  const baseMib = Math.ceil(sizeOf(base) / mib);
  const treeBytes = sent?.archive.size ?? 0;
  const treeMib = Math.ceil((room?.treeBytes ?? treeBytes) / mib);
  await log.task("preparing the host", () => prepare(old, 2 * baseMib + treeMib + workExtraMib, signal));
  const began = now();
  const { directory, hadAll, sentBytes } = await log.task(
    `sending what the host lacks of the base (${baseMib} MiB)`,
    (inner) =>
      shipBase(old, base, facts.cacheMib, signal, (done, total) =>
        inner.progress(Math.round(done / mib), Math.round(total / mib), "MiB"),
      ),
  );
  if (hadAll) log.info("the host has this base already; it was not sent");
  trail.mark({ at: "sent", base: sentBytes, payload: 0 });
  if (sent !== undefined) await sendTree(sent, inputs, { ...confirmed, directory }, world);
  trail.mark({ at: "sent", base: 0, payload: 0, tree: treeBytes });
  await noteRate(sentBytes + treeBytes, now() - began, world);
  const sizes = { kernel: base.kernel.size, outer: base.outer.size, kit: base.kit.size };
  const packed =
    room === undefined ? sent : await makeThere(inputs, { ...confirmed, directory, room }, world, trail);
  const { archive, digest } = await deployCpio(inputs, { ...confirmed, packed }, record, now);
  const parts = await deployParts(sizes, archive);
  trail.mark({ at: "sent", base: 0, payload: parts.reduce((sum, part) => sum + part.length, 0) });
  await log.task("sending the payload and loading the base's kernel", () =>
    loadBase(old, way, { directory, parts, commandLine: commandLine(inputs, facts, digest) }, signal),
  );
  return packed;
}

/** Has the old system make the tree; its job is signed for this deploy and machine, as the payload is. */
async function makeThere(
  inputs: DeployInputs,
  confirmed: Confirmed & { readonly directory: string; readonly room: HostRoom },
  { log, signal, now }: DeployWorld,
  trail: Trail,
): Promise<MadeThere> {
  const { old, facts, directory, room, identity, order, tree } = confirmed;
  if (tree === undefined) throw new Error("no tree is planned that the host could make");
  const plan = treeJobPlan(inputs, tree.made);
  const { lock, files, debs, base } = inputs;
  const own = { ...order, planDigest: digestOf(plan), disks: [], secrets: [] };
  const signed = await signedPayload(
    { plan, lock, order: own, files, debs },
    { nonce: identity.nonce, machine: hardwareOf(facts), now: inputs.ignoreClock ? undefined : now() },
  );
  trail.mark({ at: "sent", base: base.busybox.size, payload: signed.payload.length });
  const baseBytes = sizeOf(base);
  const about = { directory, cacheMib: facts.cacheMib, baseBytes, signal };
  const stage = await stageFor(old, room.treeBytes, about);
  const { epoch } = tree.made;
  const made = await log.task("making the tree on the old system", (inner) =>
    makeTreeOnHost(
      old,
      { nonce: identity.nonce, ...signed, epoch, mountPoints: mountPointsOf(tree.made) },
      { base, directory, stage, room, log: inner, signal },
    ),
  );
  trail.mark({ at: "fetched", ...made.fetched });
  const problem = tooLarge(confirmed, { baseBytes, treeBytes: made.archiveBytes });
  if (problem === undefined) return { tree: made.tree };
  throw new Fail(problem, { hint: "deploy with --build-on target; nothing was changed" });
}

async function sendTree(
  { archive }: PackedTree,
  { base }: DeployInputs,
  { old, facts, directory }: Confirmed & { readonly directory: string },
  { log, signal }: DeployWorld,
): Promise<void> {
  const size = Math.ceil(archive.size / mib);
  await log.task(`sending the tree (${size} MiB)`, (inner) =>
    shipTree(old, archive, {
      ...{ directory, cacheMib: facts.cacheMib, baseBytes: sizeOf(base), signal },
      onProgress: (done) => inner.progress(Math.round(done / mib), size, "MiB"),
    }),
  );
}

/** How fast this line is: for the plan of the next deploy. */
async function noteRate(bytes: number, ms: number, { measured }: DeployWorld): Promise<void> {
  if (bytes < leastForRate || ms <= 0) return;
  await measured?.note({ bytesPerSecond: Math.round(bytes / (ms / 1000)) });
}

function recordOf(inputs: DeployInputs, shipped: Shipped, trail: Trail, now: number): DeployRecord {
  const { facts, identity, planDigest, newSystem, way } = shipped;
  const before = trail.all("phase").reduce((sum, { seconds }) => sum + seconds, 0);
  const began = now - before * 1000;
  return {
    started: new Date(now).toISOString(),
    nonce: identity.nonce,
    planDigest,
    baseHostKey: identity.baseKey.public,
    ...(way.throughFirmware ? { left: way.left } : {}),
    newSystem,
    report: {
      ...reportOf(inputs, trail, { outcome: "failed", error: undefined, began, now }),
      fetched: { packages: 0, bytes: 0, mirror: shipped.mirror },
    },
    machine: {
      machineId: facts.machineId,
      hardware: hardwareOf(facts),
      bootId: facts.bootId,
      firmware: facts.firmware,
      consoles: [...facts.consoles],
      hostKeys: [...facts.hostKeys],
    },
  };
}

/** What the base gets besides itself, as a cpio that the kernel unpacks over it; the digest binds it to the command line. */
async function deployCpio(
  inputs: DeployInputs,
  confirmed: Confirmed,
  record: DeployRecord,
  now: () => number,
): Promise<{ archive: Uint8Array; digest: string }> {
  const { data, access, reached, secrets } = confirmed;
  const { baseKey, clientKey } = confirmed.identity;
  const made = inputs.ignoreClock ? undefined : now();
  const { payload, publicKey } = await payloadFor(inputs, confirmed, made);
  const deploy = canonicalJson({ ...data, publicKey } satisfies DeployData);
  const root = (path: string, bytes: Uint8Array | string, mode: number) => ({
    type: "file" as const,
    name: `imgbuild/${path}`,
    mode,
    content: typeof bytes === "string" ? Buffer.from(bytes) : bytes,
  });
  const sealed = await sealRecord(record, secrets, inputs.recipients ?? []);
  const archive = await cpioBytes([
    root("deploy.json", deploy, 0o600),
    // For whoever goes on from another computer.
    root(recordFiles.plain, canonicalJson(record), 0o600),
    ...(sealed === undefined ? [] : [root(recordFiles.sealed, sealed, 0o600)]),
    root("payload.tar.gz", payload, 0o600),
    root("ssh/host_key", baseKey.private, 0o600),
    root("ssh/host_key.pub", `${baseKey.public}\n`, 0o644),
    root(
      "ssh/authorized_keys",
      `${[clientKey.public, ...keysToBase(access, inputs.spec)].join("\n")}\n`,
      0o600,
    ),
    root("ssh/port", `${reached.port}\n`, 0o644),
  ]);
  return { archive, digest: sha256(deploy) };
}

/** What the base works through, signed for this deploy and machine; `now` undefined: of any age. */
export async function payloadFor(
  { lock, files, debs, restore }: DeployInputs,
  { plan, order, identity, facts, packed }: Confirmed,
  now: number | undefined,
): Promise<{ payload: Uint8Array; publicKey: string }> {
  // They are in the tree; what tries a backup before the first write is not.
  const rest =
    packed === undefined ? { order, files, debs } : { order: { ...order, tree: packed.tree }, ...inTree };
  return await signedPayload(
    { plan, lock, ...rest, ...(restore ? { debs } : {}) },
    { nonce: identity.nonce, machine: hardwareOf(facts), now },
  );
}

/**
 * Who may log in to the base, as root, besides this process: the key that opened the old system for this deploy, so that the operator
 * can follow and resume, and whoever will be root of the new system. Others of the old login need not have been root there.
 */
export function keysToBase(access: readonly string[], { users }: Pick<Spec, "users">): string[] {
  const admins = Object.entries(users).flatMap(([name, user]) =>
    user.sudo === true || name === "root" ? user.keys : [],
  );
  const lines = [...access, ...admins].filter(isPlainKey);
  const byKey = new Map(lines.map((line) => [line.split(" ").slice(0, 2).join(" "), line]));
  return [...byKey.values()];
}

/** What the machine is known by, whichever system runs on it: its physical network cards alone keep their addresses. */
function hardwareOf({ dmiUuid, links }: Facts): Machine {
  const macs = links.flatMap(({ kind, mac }) =>
    kind === undefined && mac !== "" ? [mac.toLowerCase()] : [],
  );
  return { ...(dmiUuid === undefined ? {} : { uuid: dmiUuid }), macs: [...new Set(macs)].sort() };
}

function commandLine(inputs: DeployInputs, { consoles }: Facts, digest: string): string[] {
  return [
    ...consoles.map((name) => `console=${name}`),
    `panic=${panicSeconds}`,
    // The one other thing that this kernel does about a hang before its init; init sets the rest.
    "nmi_watchdog=panic",
    `imgbuild.deadman=${inputs.deadManSeconds}`,
    ...inputs.baseCmdline,
    `${deployWord}=${digest}`,
  ];
}
