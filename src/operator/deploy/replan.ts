import type { Host } from "../../transport/host.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import { roomOf } from "../inspect/free-space.ts";
import { boundTo, hostFinding } from "../inspect/host-binding.ts";
import { inspect } from "../inspect/inspect.ts";
import { needsOf } from "../inspect/needs.ts";
import { isGo, preflight } from "../inspect/preflight.ts";
import { sshdPorts } from "../inspect/sshd-ports.ts";
import type { KnownDeploy } from "../records/known-deploys.ts";
import { sealSecrets, signedPayload } from "../runner-link/payload.ts";
import type { Hello, RunnerLink } from "../runner-link/runner-link.ts";
import { hostKeysFor } from "./host-keys.ts";
import { loginUser, matchOrTell, mirrorOrder, planFor, reachedAt, showFinding } from "./inspect.ts";
import type { DeployInputs, DeployState, DeployWorld } from "./state.ts";
import { expectedIn } from "./verify.ts";

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
  "room",
  "login",
  "ssh server",
  "rehearsal",
];

/**
 * Brings another definition to a base whose build has failed behind the first write, and says GO. Some failures are the definition's own,
 * and every further attempt would end in them; there is no old system to return to. The caller follows.
 */
export async function replan(
  inputs: DeployInputs,
  known: KnownDeploy,
  base: { readonly host: Host; readonly link: RunnerLink },
  world: DeployWorld,
): Promise<KnownDeploy> {
  const { machine, newSystem } = known;
  const { log, signal } = world;
  const by = await base.host.becomeRoot({});
  const seen = await log.task("looking at the machine", () =>
    inspect(base.host, by, world.mirrorsIn, signal),
  );
  // As the old system told: a kernel started by kexec may not know its firmware.
  const { hardware, hostKeys: keysOfHost = seen.hostKeys, ...asTold } = machine;
  const { uuid: dmiUuid = seen.dmiUuid } = hardware;
  const facts = { ...seen, ...asTold, hostKeys: keysOfHost, ...(dmiUuid === undefined ? {} : { dmiUuid }) };
  const disks = matchOrTell(inputs.spec, facts);
  const bound = boundTo(inputs.spec, facts, "problem" in disks ? undefined : disks.matched);
  const login = loginUser(inputs, await world.publicKeys());
  const findings = preflight({
    spec: inputs.spec,
    facts,
    host: hostFinding(bound, "problem" in disks ? facts.disks : undefined),
    baseBytes: 0,
    networkProblems: [],
    diskProblem: "problem" in disks ? disks.problem : undefined,
    mirror: { url: "" },
    login,
    tried: inputs.tried,
    room: "problem" in disks ? undefined : roomOf(inputs.spec, inputs.lock, disks.matched),
    needs: needsOf(inputs.spec, inputs.lock),
    disks: "problem" in disks ? undefined : disks.matched,
    locked: new Set(inputs.lock.packages.map(({ name }) => name)),
    sshPorts: {
      ...sshdPorts(inputs.spec, inputs),
      reached: (await reachedAt(base.host)).port,
    },
    clock: { now: world.now(), ignored: true },
  }).filter(({ check }) => asked.includes(check));
  for (const finding of findings) showFinding(log, finding);
  if (!isGo(findings) || "problem" in disks || !("user" in login))
    throw new Fail("the definition does not fit the machine; the base is as it was", {
      exitCode: exitCodes.refused,
      hint: findings.find(({ verdict }) => verdict === "no-go")?.hint ?? "see the findings",
    });
  const planned = planFor(inputs, facts, disks.matched, mirrorOrder(inputs, facts));
  const { plan, order, planDigest } = planned;
  await inputs.openSecrets?.();
  await world.confirm({ facts, findings, bound, ...planned });
  const { payload, publicKey } = await signedPayload(
    { plan, order, lock: inputs.lock, files: inputs.files, debs: inputs.debs },
    // It comes by the base's own SSH and is worked through at once; the machine's clock may be anywhere.
    { nonce: known.nonce, machine: hardware, now: undefined },
  );
  const { hostKeys, pins } = await keysOf(inputs, known, base.link.hello, log);
  const taken = await base.link.replace(publicKey, payload);
  if (taken !== planDigest) throw new Fail("the base holds another plan than the one confirmed");
  const next: KnownDeploy = {
    ...known,
    planDigest,
    newSystem: {
      ...newSystem,
      ...(pins === undefined ? {} : { pins: [...pins] }),
      user: login.user,
      ...expectedIn(inputs),
    },
  };
  const { host: _name, ...noted } = next;
  await world.record(noted);
  const bundle = new Map([...inputs.secrets, ...hostKeys]);
  base.link.send({ type: "go", planDigest, sealed: await sealSecrets(base.link.hello.recipient, bundle) });
  return next;
}

/** Host keys that are kept came with the first GO, and the runner has them until it wipes what came with it. Then new ones are made. */
async function keysOf(
  inputs: DeployInputs,
  { host, newSystem }: KnownDeploy,
  { secretsSeconds }: Hello,
  log: DeployWorld["log"],
) {
  const keep = inputs.spec.hostKeys === "keep";
  if (keep && secretsSeconds !== 0) return { hostKeys: new Map<string, never>(), pins: newSystem.pins };
  const state: Pick<DeployState, "newHostKeys"> = {};
  const spec = keep ? { ...inputs.spec, hostKeys: "new" as const } : inputs.spec;
  const hostKeys = await hostKeysFor({ ...inputs, spec }, state, log);
  if (keep)
    log.warn(
      `the old host keys were wiped with the secrets; for known_hosts, in their place: ${host} ${state.newHostKeys?.join(" ")}`,
    );
  return { hostKeys, pins: state.newHostKeys };
}
