import { identityOf } from "../../disks/find-disk.ts";
import type { DiskFacts, Facts } from "../../schema/facts.ts";
import type { Spec } from "../../schema/spec.ts";
import { tableId } from "../../storage/graph/ids.ts";
import { diskFates } from "../../storage/match/disk-fates.ts";
import { matchDisks } from "../../storage/match/match-disks.ts";
import { networkReplay, reachProblem } from "../../system/machine/network-replay.ts";
import type { Host } from "../../transport/host.ts";
import { isPlainKey } from "../../transport/keys.ts";
import { digestOf } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import type { Finding } from "../inspect/finding.ts";
import { roomOf } from "../inspect/free-space.ts";
import { boundTo, hostFinding } from "../inspect/host-binding.ts";
import { inspect } from "../inspect/inspect.ts";
import { needsOf } from "../inspect/needs.ts";
import { isGo, preflight } from "../inspect/preflight.ts";
import { reachMirror } from "../inspect/reach.ts";
import { sshdPorts } from "../inspect/sshd-ports.ts";
import { aptMirror } from "../plan/apt-files.ts";
import { deployPlan, deploySeed } from "../plan/plan.ts";
import { sizeOf } from "../takeover/takeover.ts";
import { newIdentity } from "./ship.ts";
import type { AptOrigin, DeployInputs, DeployState, DeployWorld } from "./state.ts";

const smallMs = 30_000;

/** Looks at the host, decides what would happen, and judges it. Changes nothing; refusals are for the next phase. */
export async function inspectAndPlan(
  inputs: DeployInputs,
  state: DeployState,
  world: DeployWorld,
): Promise<void> {
  const { log, signal } = world;
  const host = await log.task(`connecting to ${inputs.host}`, () => world.connect({}));
  state.old = host;
  const by = await host.becomeRoot(world.password === undefined ? {} : { askPassword: world.password });
  state.facts = await log.task("looking at the machine", () => inspect(host, by, world.mirrorsIn, signal));
  const { facts } = state;
  await readLogin(host, inputs, state);
  const disks = matchOrTell(inputs.spec, facts);
  const { problems } = networkReplay(facts);
  const unreached = reachProblem(facts, state.sshAddress ?? "");
  const mirrors = mirrorOrder(inputs, facts);
  const suite = inputs.spec.system.suite;
  const mirror = await log.task("trying the mirrors from the target", () =>
    reachMirror(host, mirrors.debian, `dists/${suite}/InRelease`, signal),
  );
  const login = loginUser(inputs, await world.publicKeys());
  const bound = boundTo(inputs.spec, facts, "problem" in disks ? undefined : disks.matched);
  state.findings = preflight({
    spec: inputs.spec,
    facts,
    host: hostFinding(bound, "problem" in disks ? facts.disks : undefined),
    baseBytes: sizeOf(inputs.base),
    networkProblems: unreached === undefined || problems.length > 0 ? problems : [unreached],
    diskProblem: "problem" in disks ? disks.problem : undefined,
    mirror,
    login,
    tried: inputs.tried,
    room: "problem" in disks ? undefined : roomOf(inputs.spec, inputs.lock, disks.matched),
    needs: needsOf(inputs.spec, inputs.lock),
    disks: "problem" in disks ? undefined : disks.matched,
    locked: new Set(inputs.lock.packages.map(({ name }) => name)),
    sshPorts: { ...sshdPorts(inputs.spec, inputs), reached: state.sshPort },
    clock: { now: world.now(), ignored: inputs.ignoreClock },
  });
  for (const finding of state.findings) showFinding(log, finding);
  if (!isGo(state.findings) || "problem" in disks || !("url" in mirror)) return;
  if ("user" in login) state.loginUser = login.user;
  state.mirror = mirror.url;
  const identity = newIdentity();
  state.baseKey = identity.baseKey;
  state.clientKey = identity.clientKey;
  const others = mirrors.debian.filter((url) => url !== mirror.url);
  Object.assign(
    state,
    { bound },
    planFor(inputs, facts, disks.matched, { ...mirrors, debian: [mirror.url, ...others] }),
  );
  state.deploy = {
    version: 1,
    nonce: identity.nonce,
    oldBootId: facts.bootId,
    hostname: inputs.spec.hostname,
    network: networkReplay(facts).replay,
    deadManSeconds: inputs.deadManSeconds,
  };
}

/** What will be done to the disks, for the runner and for whoever has to say yes. */
export function planFor(
  inputs: DeployInputs,
  facts: Parameters<typeof deployPlan>[1]["facts"] & Pick<Facts, "mirrors">,
  matched: Readonly<Record<string, DiskFacts>>,
  mirrors: Readonly<Record<string, string[]>>,
): Required<Pick<DeployState, "order" | "plan" | "planDigest" | "fates" | "disks" | "apt">> {
  const { storage } = inputs.spec;
  const plan = deployPlan(inputs, { facts, disks: matched, mirrors });
  const planDigest = digestOf(plan);
  return {
    plan,
    planDigest,
    order: {
      version: 1,
      definition: inputs.definition,
      planDigest,
      disks: Object.entries(matched).map(([name, seen]) => identityOf(name, seen)),
      mirrors,
      secrets: [...new Set([...Object.keys(inputs.spec.secrets), ...inputs.secrets.keys()])],
    },
    apt: aptOrigins(inputs.spec, facts.mirrors, mirrors),
    fates: storage === undefined ? [] : diskFates(storage, matched),
    disks: Object.entries(matched).map(([name, seen]) => ({
      name,
      ...tableOf(name, storage, deploySeed(inputs.definition, facts)),
      serial: seen.serial ?? null,
      ...(seen.wwn === undefined ? {} : { wwn: seen.wwn }),
      ...pathOf(name, seen),
      model: seen.model ?? null,
      sizeBytes: seen.sizeBytes,
      action: "table" in (storage?.disks[name] ?? {}) ? ("written" as const) : ("kept" as const),
    })),
  };
}

function aptOrigins(
  { system }: Spec,
  own: Facts["mirrors"],
  mirrors: Readonly<Record<string, string[]>>,
): AptOrigin[] {
  return ["debian", "debian-security"].flatMap((archive): AptOrigin[] => {
    const url = aptMirror(mirrors, archive);
    if (url === undefined) return [];
    const isHosts = own.some((one) => one.archive === archive && one.url === url);
    const from =
      system.mirror !== undefined ? "the definition" : isHosts ? "the host's own sources" : "this machine";
    return [{ archive, url, from }];
  });
}

/** What the disk can be matched by when the deploy is done. */
function tableOf(name: string, storage: Spec["storage"], seed: string): { tableUuid?: string } {
  const disk = storage?.disks[name];
  return disk !== undefined && "table" in disk ? { tableUuid: tableId(disk, seed, name) } : {};
}

function pathOf(name: string, seen: DiskFacts): { path?: string } {
  const { path } = identityOf(name, seen);
  return path === undefined ? {} : { path };
}

/** By which key and at which address and port the old system was reached: the base answers in the same way. */
async function readLogin(host: Host, { keepAccess }: DeployInputs, state: DeployState): Promise<void> {
  state.baseAccess = [host.openedBy, ...(keepAccess ? await oldKeys(host) : [])];
  const { address, port } = await reachedAt(host);
  state.sshPort = port;
  state.sshAddress = address;
}

/** Every key that opens the login we used. */
async function oldKeys(host: Host): Promise<string[]> {
  const { stdout } = await host.exec(["sh", "-c", 'cat "$HOME/.ssh/authorized_keys" 2>/dev/null'], {
    timeoutMs: smallMs,
    accept: [0, 1],
  });
  return stdout.split("\n").filter(isPlainKey);
}

/** The address and port of the host, as it sees them, that our connection leads to. */
export async function reachedAt(host: Host): Promise<{ readonly address: string; readonly port: number }> {
  const { stdout } = await host.exec(["sh", "-c", 'echo "$SSH_CONNECTION"'], { timeoutMs: smallMs });
  const [, address = "", port] = / (\S+) (\d+)$/.exec(stdout.trim()) ?? [];
  return { address, port: Number(port ?? 22) };
}

export function matchOrTell(
  spec: Spec,
  facts: Facts,
): { matched: Record<string, DiskFacts> } | { problem: { message: string; hint?: string } } {
  if (spec.storage === undefined) return { problem: { message: "the definition has no storage" } };
  try {
    return { matched: matchDisks(spec.storage, facts.disks) };
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    return { problem: { message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) } };
  }
}

/** The definition's mirror, then the target's own, then the operator's. */
export function mirrorOrder(
  inputs: DeployInputs,
  facts: Facts,
): Record<string, string[]> & Record<"debian" | "debian-security", string[]> {
  const of = (archive: "debian" | "debian-security") => [
    ...new Set([
      ...(inputs.spec.system.mirror === undefined
        ? facts.mirrors.filter((one) => one.archive === archive).map((one) => one.url)
        : []),
      ...inputs.mirrors[archive],
    ]),
  ];
  // A repository of the definition's is where the definition says.
  const others = Object.entries(inputs.mirrors).map(([archive, urls]) => [archive, [...urls]]);
  return {
    ...Object.fromEntries(others),
    debian: of("debian"),
    "debian-security": of("debian-security"),
  };
}

/** The user of the new system whom a key of the operator's opens, root's rights preferred. */
export function loginUser(
  inputs: DeployInputs,
  held: readonly string[],
): { user: string } | { problem: string } {
  const users = Object.entries(inputs.spec.users);
  const opens = (keys: readonly string[]) =>
    keys.some((key) => held.includes(key.split(" ").slice(0, 2).join(" ")));
  const able = users.filter(
    ([name, user]) => (inputs.login === undefined || name === inputs.login) && opens(user.keys),
  );
  const best = able.find(([name, user]) => user.sudo || name === "root") ?? able[0];
  if (best !== undefined) return { user: best[0] };
  return {
    problem:
      inputs.login === undefined
        ? "no user of the definition has a key that you hold, so nobody could verify the new system"
        : `no key that you hold is among those of the user ${inputs.login} in the definition`,
  };
}

export function showFinding(
  log: { info(text: string): void; warn(text: string): void },
  finding: Finding,
): void {
  const line = `${finding.verdict === "go" ? "ok   " : finding.verdict === "warn" ? "warn " : "NO-GO"} ${finding.check}: ${finding.detail}`;
  if (finding.verdict === "go") log.info(line);
  else log.warn(finding.hint === undefined ? line : `${line}; ${finding.hint}`);
}
