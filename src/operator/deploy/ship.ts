import { randomBytes } from "node:crypto";
import { cpioBytes } from "../../archive/cpio.ts";
import { type DeployData, deployWord, type Machine } from "../../schema/deploy.ts";
import type { Facts } from "../../schema/facts.ts";
import type { Spec } from "../../schema/spec.ts";
import { generateSshKey, isPlainKey } from "../../transport/keys.ts";
import { canonicalJson, sha256 } from "../../util/digest.ts";
import { messageOf } from "../../util/fail.ts";
import { signedPayload } from "../runner-link/payload.ts";
import { deployParts } from "../takeover/base-cpio.ts";
import { claim } from "../takeover/claim.ts";
import { jump, loadBase, prepare, shipBase, sizeOf } from "../takeover/takeover.ts";
import { keepIdentity } from "./build.ts";
import type { DeployInputs, DeployState, DeployWorld } from "./state.ts";
import { expectedSystem } from "./verify.ts";

/** Beside base and payload: the kit, unpacked, and some room. */
const workExtraMib = 48;
/** Seconds after which a panicked base restarts through the firmware, into the old system. */
const panicSeconds = 20;

/** Brings base and payload to the host, loads the base's kernel beside the running one, and lets it jump. */
export async function shipAndTakeOver(
  inputs: DeployInputs,
  state: DeployState,
  world: DeployWorld,
): Promise<void> {
  const { old, facts, deploy } = state;
  if (old === undefined || facts === undefined || deploy === undefined)
    throw new Error("ship before inspect");
  const { base } = inputs;
  const { signal, log } = world;
  const baseMib = Math.ceil(sizeOf(base) / 2 ** 20);
  await claim(old, { log, signal });
  await keepIdentity(inputs, state, log);
  state.touched = true;
  await log.task("preparing the host", () => prepare(old, 2 * baseMib + workExtraMib, signal));
  const shipped = await log.task(`sending what the host lacks of the base (${baseMib} MiB)`, (inner) =>
    shipBase(old, base, facts.cacheMib, signal, (done, total) =>
      inner.progress(Math.round(done / 2 ** 20), Math.round(total / 2 ** 20), "MiB"),
    ),
  );
  if (shipped.hadAll) log.info("the host has this base already; it was not sent");
  state.bytes.base = shipped.sentBytes;
  const sizes = { kernel: base.kernel.size, outer: base.outer.size, kit: base.kit.size };
  const { archive, digest } = await deployCpio(state, deploy, inputs, world);
  const parts = await deployParts(sizes, archive);
  state.bytes.payload += parts.reduce((sum, part) => sum + part.length, 0);
  await log.task("sending the payload and loading the base's kernel", () =>
    loadBase(old, shipped.directory, parts, commandLine(inputs, state, digest), signal),
  );
  await world.record({
    started: new Date(world.now()).toISOString(),
    nonce: deploy.nonce,
    planDigest: state.planDigest ?? "",
    baseHostKey: state.baseKey?.public ?? "",
    newSystem: expectedSystem(inputs, state),
    machine: {
      machineId: facts.machineId,
      hardware: hardwareOf(facts),
      bootId: facts.bootId,
      firmware: facts.firmware,
      consoles: [...facts.consoles],
      hostKeys: [...facts.hostKeys],
    },
  });
  await log.task("starting the base", () =>
    jump(old, signal).catch((error: unknown) => {
      // A connection that breaks now may be the jump itself: who answers next tells.
      if (!old.closed || signal.aborted) throw error;
      log.warn(`${messageOf(error)}; looking whether the base comes`);
    }),
  );
  state.jumped = true;
  state.lastOldAnswer = world.now();
  old.close();
}

/** What the base gets besides itself, as a cpio that the kernel unpacks over it; the digest binds it to the command line. */
async function deployCpio(
  state: DeployState,
  deploy: Omit<DeployData, "publicKey">,
  inputs: DeployInputs,
  world: DeployWorld,
): Promise<{ archive: Uint8Array; digest: string }> {
  const { plan, order, baseKey, clientKey, facts } = state;
  if (!plan || !order || !baseKey || !clientKey || !facts) throw new Error("ship before inspect");
  const { payload, publicKey } = await signedPayload(
    { plan, order, lock: inputs.lock, files: inputs.files, debs: inputs.debs },
    {
      nonce: deploy.nonce,
      machine: hardwareOf(facts),
      now: inputs.ignoreClock ? undefined : world.now(),
    },
  );
  const data = canonicalJson({ ...deploy, publicKey } satisfies DeployData);
  const root = (path: string, bytes: Uint8Array | string, mode: number) => ({
    type: "file" as const,
    name: `imgbuild/${path}`,
    mode,
    content: typeof bytes === "string" ? Buffer.from(bytes) : bytes,
  });
  const archive = await cpioBytes([
    root("deploy.json", data, 0o600),
    root("payload.tar.gz", payload, 0o600),
    root("ssh/host_key", baseKey.private, 0o600),
    root("ssh/host_key.pub", `${baseKey.public}\n`, 0o644),
    root(
      "ssh/authorized_keys",
      `${[clientKey.public, ...keysToBase(state.baseAccess, inputs.spec)].join("\n")}\n`,
      0o600,
    ),
    root("ssh/port", `${state.sshPort}\n`, 0o644),
  ]);
  return { archive, digest: sha256(data) };
}

/**
 * Who may log in to the base, as root, besides this process: the key that opened the old system for this deploy, so that the operator
 * can follow and resume, and whoever will be root of the new system. Others of the old login need not have been root there.
 */
export function keysToBase(access: readonly string[], { users }: Pick<Spec, "users">): string[] {
  const admins = Object.entries(users).flatMap(([name, user]) =>
    user.sudo || name === "root" ? user.keys : [],
  );
  const lines = [...access, ...admins].filter(isPlainKey);
  const known = new Map(lines.map((line) => [line.split(" ").slice(0, 2).join(" "), line]));
  return [...known.values()];
}

/** What the machine is known by, whichever system runs on it: its physical network cards alone keep their addresses. */
function hardwareOf({ dmiUuid, links }: Facts): Machine {
  const macs = links.flatMap(({ kind, mac }) =>
    kind === undefined && mac !== "" ? [mac.toLowerCase()] : [],
  );
  return { ...(dmiUuid === undefined ? {} : { uuid: dmiUuid }), macs: [...new Set(macs)].sort() };
}

function commandLine(inputs: DeployInputs, state: DeployState, digest: string): string[] {
  const consoles = state.facts?.consoles ?? [];
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

/** Keys and nonce of one deploy; in memory only. */
export function newIdentity(): {
  nonce: string;
  baseKey: { private: string; public: string };
  clientKey: { private: string; public: string };
} {
  return {
    nonce: randomBytes(32).toString("hex"),
    baseKey: generateSshKey("imgbuild-base"),
    clientKey: generateSshKey("imgbuild-operator"),
  };
}
