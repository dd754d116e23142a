import { randomBytes } from "node:crypto";
import { remoteKeepers } from "../../debian/archive/keepers.ts";
import type { NetworkReplay } from "../../schema/base/deploy.ts";
import type { DiskFacts, Facts } from "../../schema/facts.ts";
import { matchOrProblem } from "../../storage/match/match-disks.ts";
import { networkReplay, type Reached } from "../../system/machine/network-replay.ts";
import type { Host } from "../../transport/host.ts";
import { generateSshKey, isPlainKey } from "../../transport/keys.ts";
import { type HostScript, scriptArgv } from "../../transport/script.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { Finding } from "../inspect/finding.ts";
import { roomOf } from "../inspect/free-space.ts";
import { type Bound, boundTo, hostFinding } from "../inspect/host-binding.ts";
import { inspect } from "../inspect/inspect.ts";
import { wipeFindings } from "../inspect/may-wipe.ts";
import { needsOf, openedByDeploy } from "../inspect/needs.ts";
import { newNetwork } from "../inspect/new-network.ts";
import { isGo, type PreflightInput, preflight } from "../inspect/preflight.ts";
import { reachAny } from "../inspect/reach.ts";
import { sshdPorts } from "../inspect/sshd-ports.ts";
import { type PlanView, planFor } from "../plan/planned.ts";
import { lastingFindings } from "../plan/rescue-first.ts";
import { letsIn } from "../settings/sshd.ts";
import { sizeOf } from "../takeover/takeover.ts";
import { chooseWay } from "../takeover/ways/choose.ts";
import { type BuildOn, chooseBuildOn } from "../tree/build-on.ts";
import type { HostRoom } from "../tree/host-room.ts";
import { type AboutHost, planWithTree, type TreeForHost, treeForHost } from "../tree/tree-for-host.ts";
import type { Trail } from "./phases.ts";
import type { Confirmed, Identity, Inspected } from "./results.ts";
import type { DeployInputs, DeployWorld } from "./world.ts";

const smallMs = 30_000;
const oldKeysScript: HostScript = {
  name: "list-keys",
  text: 'cat "$HOME/.ssh/authorized_keys" 2>/dev/null',
};
const reachedAtScript: HostScript = {
  name: "reached-at",
  text: [
    'echo "$SSH_CONNECTION"',
    "set -- $SSH_CONNECTION",
    'ip route get "$1" from "$3" 2>/dev/null || ip route get "$1" 2>/dev/null || true',
  ].join("\n"),
};

/** Looks at the host, decides what would happen, and judges it. Changes nothing; refusals are for the next phase. */
export async function inspectAndPlan(
  inputs: DeployInputs,
  world: DeployWorld,
  trail: Trail,
): Promise<Inspected> {
  const { log, signal } = world;
  const old = await log.task(`connecting to ${inputs.host}`, () => world.connect({}));
  trail.mark({ at: "connected", old });
  const by = await old.becomeRoot(world.password === undefined ? {} : { askPassword: world.password });
  const facts = await log.task("looking at the machine", () => inspect(old, by, world.mirrorsIn, signal));
  trail.mark({ at: "looked", facts });
  const access = [old.openedBy, ...(inputs.keepAccess ? await oldKeys(old) : [])];
  const reached = await reachedAt(old);
  const { replay, problems, left } = networkReplay(facts, reached);
  const mirrors = mirrorOrder(inputs, facts);
  const mirror = await log.task("trying the mirrors from the target", () =>
    reachAny(
      old,
      mirrors.debian,
      inputs.keepers && remoteKeepers(inputs.keepers),
      `dists/${inputs.spec.system.suite}/InRelease`,
      signal,
    ),
  );
  const held = await world.publicKeys();
  const login = loginUser(inputs, held);
  const known = "url" in mirror ? withFirst(mirrors, mirror.url) : mirrors;
  const baseBytes = sizeOf(inputs.base);
  const { tree, treeBytes, takeover, build, room } = await placeOf(inputs, { facts, mirrors: known }, world);
  const loaders = facts.secureBoot ? await world.loaders?.(inputs) : undefined;
  const {
    disks,
    bound,
    findings: judged,
  } = judge(inputs, facts, {
    ...{ mirror, login, baseBytes, treeBytes, takeover, reached },
    treeSent: build?.buildOn === "local",
    network: { problems, left },
    loaders,
    clock: { now: world.now(), ignored: inputs.ignoreClock },
  });
  const findings = [...judged, ...openedByDeploy(inputs.spec, held, reached.address)];
  for (const finding of findings) showFinding(log, finding);
  const look = { old, facts, findings, reached, access };
  const planned = (matched: Readonly<Record<string, DiskFacts>>) => {
    const made = planFor(inputs, facts, matched, known);
    return tree === undefined ? made : planWithTree(made, inputs, tree, { facts, disks: matched });
  };
  const inspected: Inspected =
    isGo(findings) && disks !== undefined && "user" in login && "way" in takeover
      ? {
          ...{ ...look, verdict: "go", bound, loginUser: login.user, way: takeover.way },
          ...{ mirror: "url" in mirror ? mirror.url : "", tree, build, room },
          ...planned(disks),
          ...baseOf(inputs, facts, replay),
        }
      : { ...look, verdict: "no-go" };
  trail.mark({ at: "inspected", inspected });
  return inspected;
}

/** Where the tree of this deploy is made, and how the base is started: as was asked, or as RAM and cache allow. */
async function placeOf(
  inputs: DeployInputs,
  about: AboutHost & { readonly facts: Facts },
  { trees, measured }: Pick<DeployWorld, "trees" | "measured">,
): Promise<{
  readonly tree?: TreeForHost;
  readonly treeBytes: number;
  readonly takeover: PreflightInput["takeover"];
  readonly build?: NonNullable<PlanView["build"]>;
  readonly room?: HostRoom;
}> {
  const { facts } = about;
  const [baseBytes, wanted] = [sizeOf(inputs.base), inputs.takeover];
  if (trees === undefined || inputs.spec.storage === undefined)
    return { treeBytes: 0, takeover: chooseWay(facts, { baseMib: Math.ceil(baseBytes / 2 ** 20), wanted }) };
  const tree = treeForHost(ownTreeInputs(inputs), about);
  const problem = await trees.problem();
  const { buildOn, treeBytes, takeover, room, lines } = chooseBuildOn({
    ...{ asked: inputs.buildOn, facts, baseBytes, wanted },
    packagesBytes: inputs.lock.packages.reduce((sum, { size }) => sum + size, 0),
    tree: problem === undefined ? { bytes: (await trees.find(tree.made))?.archive.size } : { problem },
    before: await measured?.before(),
  });
  const build = { buildOn, lines };
  if (buildOn === "target") return { treeBytes, takeover, build };
  const made = { tree, treeBytes, takeover, build };
  if (buildOn === "host") {
    if (!("problem" in room)) return { ...made, room };
    throw notThere("host", room.problem, "deploy with --build-on local or --build-on target");
  }
  if (problem === undefined) return made;
  throw notThere("local", problem, "deploy with --build-on target");
}

function notThere(place: BuildOn, problem: string, hint: string): Fail {
  return new Fail(`--build-on ${place}: ${problem}`, { exitCode: exitCodes.refused, hint });
}

/** What a tree that is made here follows from: packages come by the mirrors of this machine. */
export function ownTreeInputs(inputs: DeployInputs): DeployInputs {
  return { ...inputs, mirrors: inputs.ownMirrors ?? inputs.mirrors };
}

/** What definition and machine make of each other: the disks, where each was found; how the host is bound; every finding. */
export function judge(
  inputs: DeployInputs,
  facts: Facts,
  asked: Pick<
    PreflightInput,
    "baseBytes" | "treeBytes" | "treeSent" | "clock" | "loaders" | "login" | "mirror" | "network" | "takeover"
  > & {
    /** Where the machine was reached, as it sees itself. */
    readonly reached: { readonly address: string; readonly port: number };
  },
): {
  readonly disks: Readonly<Record<string, DiskFacts>> | undefined;
  readonly bound: Bound;
  readonly findings: readonly Finding[];
} {
  const { spec, lock } = inputs;
  const { reached, ...more } = asked;
  const match = matchOrProblem(spec.storage, facts.disks);
  const disks = "problem" in match ? undefined : match.matched;
  const bound = boundTo(spec, facts, disks);
  const judged = preflight({
    ...more,
    spec,
    facts,
    host: hostFinding(bound, disks === undefined ? facts.disks : undefined),
    diskProblem: "problem" in match ? match.problem : undefined,
    tried: inputs.tried,
    room: disks === undefined ? undefined : roomOf(spec, lock, disks),
    needs: needsOf(spec, lock),
    disks,
    locked: new Set(lock.packages.map(({ name }) => name)),
    sshPorts: { ...sshdPorts(spec, inputs), reached: reached.port },
  });
  const findings = [
    ...judged,
    newNetwork(spec, inputs.files.keys(), facts, reached.address),
    ...wipeFindings(spec, disks ?? {}, inputs.mayWipe),
    ...(disks === undefined ? [] : lastingFindings({ ...inputs, facts, disks })),
  ];
  return { disks, bound, findings };
}

/** The mirror that answered comes before the others; a store or a snapshot is none. */
function withFirst(mirrors: ReturnType<typeof mirrorOrder>, url: string): Record<string, string[]> {
  if (!mirrors.debian.includes(url)) return mirrors;
  return { ...mirrors, debian: [url, ...mirrors.debian.filter((other) => other !== url)] };
}

/** What the base of this deploy is known by, and what it is to know. */
function baseOf(
  { spec, deadManSeconds }: DeployInputs,
  { bootId }: Facts,
  network: NetworkReplay,
): Pick<Confirmed, "identity" | "data"> {
  const identity = newIdentity();
  const { nonce } = identity;
  return {
    identity,
    data: { version: 1, nonce, oldBootId: bootId, hostname: spec.hostname, network, deadManSeconds },
  };
}

/** Every key that opens the login we used. */
async function oldKeys(host: Host): Promise<string[]> {
  const { stdout } = await host.exec(scriptArgv(oldKeysScript), {
    timeoutMs: smallMs,
    accept: [0, 1],
  });
  return stdout.split("\n").filter(isPlainKey);
}

/** The address and port of the host, as it sees them, that our connection leads to, and the link of the way back. */
export async function reachedAt(host: Host): Promise<Reached & { readonly port: number }> {
  const { stdout } = await host.exec(scriptArgv(reachedAtScript), { timeoutMs: smallMs });
  const [connection = "", ...back] = stdout.trim().split("\n");
  const [, address = "", port] = / (\S+) (\d+)$/.exec(connection.trim()) ?? [];
  const [, link] = / dev (\S+)/.exec(back.join(" ")) ?? [];
  return { address, port: Number(port ?? 22), ...(link === undefined ? {} : { link }) };
}

/** The definition's mirror, then the target's own, then the operator's. */
export function mirrorOrder(
  inputs: DeployInputs,
  facts: Facts,
): Record<string, string[]> & Record<"debian" | "debian-security", string[]> {
  const of = (archive: "debian" | "debian-security") => [
    ...new Set([
      ...(inputs.spec.system.mirror === undefined
        ? facts.mirrors.filter((mirror) => mirror.archive === archive).map(({ url }) => url)
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
    ([name, user]) =>
      (inputs.login === undefined || name === inputs.login) && opens(user.keys) && letsIn(inputs.spec, name),
  );
  const best = able.find(([name, user]) => user.sudo === true || name === "root") ?? able[0];
  if (best !== undefined) return { user: best[0] };
  const letIn = inputs.spec.sshd === undefined ? "" : " and is let in by `sshd`";
  return {
    problem:
      inputs.login === undefined
        ? `no user of the definition has a key that you hold${letIn}, so the new system could not be verified`
        : `no key that you hold is among those of the user ${inputs.login} in the definition${letIn}`,
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

/** Keys and nonce of one deploy. */
export function newIdentity(): Identity {
  return {
    nonce: randomBytes(32).toString("hex"),
    baseKey: generateSshKey("imgbuild-base"),
    clientKey: generateSshKey("imgbuild-operator"),
  };
}
