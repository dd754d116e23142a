import type { Facts } from "../../schema/facts.ts";
import type { Host } from "../../transport/host.ts";
import { Fail } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";
import { noGo, openedSecrets } from "../deploy/confirm.ts";
import { ownHostKeys, withMadeKeys } from "../deploy/host-keys.ts";
import { judge, loginUser, mirrorOrder, reachedAt, showFinding } from "../deploy/inspect.ts";
import { disksOf } from "../deploy/report.ts";
import type { HostKeys } from "../deploy/results.ts";
import { expectedIn } from "../deploy/verify.ts";
import type { DeployInputs, DeployWorld } from "../deploy/world.ts";
import { inspect } from "../inspect/inspect.ts";
import { isGo } from "../inspect/preflight.ts";
import { planFor } from "../plan/planned.ts";
import type { KnownDeploy } from "../records/known-deploys.ts";
import { sealSecrets, signedPayload } from "../runner-link/payload.ts";
import type { Hello, RunnerLink } from "../runner-link/runner-link.ts";
import { knownInitramfs } from "../unlock/known-initramfs.ts";

/** What of a preflight is to be asked of a machine that runs the base already. */
const asked: readonly string[] = [
  "architecture",
  "firmware",
  "host",
  "processor",
  "tpm",
  "room on ESP",
  "room on XBOOTLDR",
  "room on /boot",
  "disks",
  "may wipe",
  "room",
  "rescue",
  "login",
  "ssh server",
  "rehearsal",
];

/** It runs already. */
const here = { problem: "", hint: "" };

/**
 * Brings another definition to a base whose build has failed after the first write, and says GO. Some failures are the definition's own,
 * and every further attempt would end in them; there is no old system to return to. The caller follows.
 */
export async function replan(
  inputs: DeployInputs,
  known: KnownDeploy,
  { host, link }: { readonly host: Host; readonly link: RunnerLink },
  world: DeployWorld,
): Promise<KnownDeploy> {
  const facts = await factsOf(host, known, world);
  const login = loginUser(inputs, await world.publicKeys());
  const judged = judge(inputs, facts, {
    ...{ baseBytes: 0, network: { problems: [], left: [] }, mirror: { url: "" }, login, takeover: here },
    reached: await reachedAt(host),
    clock: { now: world.now(), ignored: true },
  });
  const { disks, bound } = judged;
  const findings = judged.findings.filter(({ check }) => asked.includes(check));
  for (const finding of findings) showFinding(world.log, finding);
  if (!isGo(findings) || disks === undefined || !("user" in login))
    throw noGo("the definition does not fit the machine; the base is as it was", findings);
  const planned = planFor(inputs, facts, disks, mirrorOrder(inputs, facts));
  const { plan, order, planDigest } = planned;
  const secrets = await openedSecrets(inputs);
  await world.confirm({ facts, findings, bound, ...planned });
  const { payload, publicKey } = await signedPayload(
    { plan, order, lock: inputs.lock, files: inputs.files, debs: inputs.debs },
    // It comes by the base's own SSH and is worked through at once; the machine's clock may be anywhere.
    { nonce: known.nonce, machine: known.machine.hardware, now: undefined },
  );
  const {
    secrets: hostKeys,
    pins,
    initramfsPin,
    rescuePin,
  } = hostKeysFor(inputs, known, link.hello, secrets, world.log);
  if ((await link.replace(publicKey, payload)) !== planDigest)
    throw new Fail("the base holds another plan than the one confirmed");
  const { unlock: _before, rescue: _other, ...newSystem } = known.newSystem;
  const unlock = knownInitramfs(inputs.spec, initramfsPin);
  const next: KnownDeploy = {
    ...known,
    planDigest,
    ...(known.report === undefined
      ? {}
      : { report: { ...known.report, definition: inputs.definition, planDigest, disks: disksOf(planned) } }),
    newSystem: {
      ...newSystem,
      ...(unlock === undefined ? {} : { unlock }),
      ...(rescuePin === undefined ? {} : { rescue: { pins: [rescuePin] } }),
      ...(pins === undefined ? {} : { pins: [...pins] }),
      user: login.user,
      ...expectedIn(inputs),
    },
  };
  const { host: _name, ...record } = next;
  await world.record(record);
  const sealed = await sealSecrets(link.hello.recipient, new Map([...secrets, ...hostKeys]));
  link.send({ type: "go", planDigest, sealed });
  return next;
}

/** The machine as the old system saw it, for a kernel started by kexec may not know its firmware; its disks as they are now. */
async function factsOf(host: Host, { machine }: KnownDeploy, world: DeployWorld): Promise<Facts> {
  const by = await host.becomeRoot({});
  const current = await world.log.task("looking at the machine", () =>
    inspect(host, by, world.mirrorsIn, world.signal),
  );
  const { hardware, hostKeys = current.hostKeys, ...before } = machine;
  const { uuid: dmiUuid = current.dmiUuid } = hardware;
  return { ...current, ...before, hostKeys, ...(dmiUuid === undefined ? {} : { dmiUuid }) };
}

/** Host keys that are kept came with the first GO, and the runner has them until it wipes what came with it. Then new ones are made. */
function hostKeysFor(
  { spec }: DeployInputs,
  { host, newSystem }: KnownDeploy,
  { secretsSeconds }: Hello,
  secrets: ReadonlyMap<string, Secret>,
  log: DeployWorld["log"],
): Omit<HostKeys, "pins"> & { readonly pins: readonly string[] | undefined } {
  const { hostKeys, hostname } = spec;
  if (hostKeys === "keep" && secretsSeconds !== 0)
    return { ...withMadeKeys({ secrets: new Map(), pins: [] }, spec, secrets), pins: newSystem.pins };
  const own = ownHostKeys(hostKeys === "keep" ? "new" : hostKeys, hostname, secrets);
  if (hostKeys === "keep")
    log.warn(
      `the old host keys were wiped with the secrets; for known_hosts, in their place: ${host} ${own.pins.join(" ")}`,
    );
  return withMadeKeys(own, spec, secrets);
}
