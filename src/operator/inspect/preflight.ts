import { clockToleranceMs } from "../../archive/payload.ts";
import type { DiskFacts, Facts } from "../../schema/facts.ts";
import type { Spec } from "../../schema/spec.ts";
import { consoleForm } from "../../schema/words.ts";
import { architectures } from "../../tables/architecture.ts";
import { comesIn } from "../settings/firewall.ts";
import type { Chosen, NoWay } from "../takeover/ways/choose.ts";
import { memoryNeeds } from "../takeover/ways/memory.ts";
import { type Finding, go, noGo, warn } from "./finding.ts";
import type { Room } from "./free-space.ts";
import { cardsFound, firmwareFound } from "./hardware-found.ts";
import { liveFindings } from "./host-binding.ts";
import { consoleWords } from "./inspect.ts";
import { judgeNeeds, type Needs, type SignedLoaders } from "./needs.ts";
import type { SshdPorts } from "./sshd-ports.ts";
import { wayBack } from "./watchdogs.ts";

export interface PreflightInput {
  readonly spec: Spec;
  readonly facts: Facts;
  /** Bytes of kernel and initramfs. */
  readonly baseBytes: number;
  /** How the base would be started. */
  readonly takeover: Chosen | NoWay;
  /** Of a tree in the base's initramfs, and whether it is sent from here. */
  readonly treeBytes?: number;
  readonly treeSent?: boolean;
  /** What stands against recreating the network, and what of it is left out, from `networkReplay`. */
  readonly network: { readonly problems: readonly string[]; readonly left: readonly string[] };
  /** Whether the definition is for this host, where there is something to say of it. */
  readonly host: Finding | undefined;
  /** The error that matching the disks ended in, if it did. */
  readonly diskProblem: { message: string; hint?: string } | undefined;
  /** Which mirror answered the target itself, or why none did. */
  readonly mirror: { url: string } | { problem: string };
  /** Whether a key the operator holds opens a declared user of the new system. */
  readonly login: { user: string } | { problem: string };
  /** The definition was built here before, just as it is. */
  readonly tried: boolean;
  /** Undefined where the disks were not found. */
  readonly room: Room | undefined;
  /** What the definition needs of the machine. */
  readonly needs: Needs;
  /** Where Secure Boot is on. */
  readonly loaders?: SignedLoaders;
  /** The machine's disks by the definition's names, where they were found. */
  readonly disks: Readonly<Record<string, DiskFacts>> | undefined;
  /** Names of the packages that the new system gets. */
  readonly locked: ReadonlySet<string>;
  /** Where the new system's SSH server will listen, and the port at which the host was reached, as the host sees it. */
  readonly sshPorts: SshdPorts & { readonly reached: number };
  /** The operator's clock, in milliseconds, and whether the host's matters. */
  readonly clock: { readonly now: number; readonly ignored: boolean };
}

/** The last second that a date can say. */
const maxSeconds = 8_640_000_000_000;

/** Of a machine on which the base runs already: what only the machine itself can speak against. */
export function machineFindings(
  input: Pick<PreflightInput, "spec" | "facts" | "needs" | "disks" | "diskProblem" | "room">,
): Finding[] {
  const { spec, facts, needs, disks, diskProblem } = input;
  return [
    architecture(spec, facts),
    firmwareFound(spec, facts),
    ...judgeNeeds(needs, spec, facts, disks),
    ...cardsFound(spec, facts),
    disksFound(diskProblem),
    ...(input.room === undefined ? [] : [room(input.room)]),
  ];
}

/** Every check, in the order shown; pure. A deploy goes on only when none is a no-go. */
export function preflight(input: PreflightInput): Finding[] {
  const { facts } = input;
  return [
    root(facts),
    architecture(input.spec, facts),
    virtualisation(facts),
    takeover(input.takeover),
    wayBack(facts),
    memory(facts, input),
    clock(facts, input.clock),
    firmwareFound(input.spec, facts),
    ...consoles(facts),
    ...(input.host === undefined ? [] : [input.host]),
    ...judgeNeeds(input.needs, input.spec, facts, input.disks, input.loaders),
    ...cardsFound(input.spec, facts),
    disksFound(input.diskProblem),
    ...(input.room === undefined ? [] : [room(input.room)]),
    network(input.network),
    mirror(input),
    "user" in input.login
      ? go("login", `the new system will let you in as ${input.login.user}`)
      : noGo(
          "login",
          input.login.problem,
          "add your public key to a user of the definition, or give --login USER",
        ),
    hostKeys(input.spec, facts),
    ...liveFindings(input.spec, facts),
    sshServer(input.locked, input.sshPorts),
    ...wall(input.spec, input.sshPorts.reached),
    rehearsal(input.tried),
  ];
}

export function isGo(findings: readonly Finding[]): boolean {
  return findings.every((finding) => finding.verdict !== "no-go");
}

function root(facts: Facts): Finding {
  const by = facts.user.becomesRootBy;
  if (by === "impossible")
    return noGo(
      "root",
      "the login is not root and neither sudo nor doas makes it so",
      "log in as root, or allow sudo",
    );
  return go("root", by === "none" ? "logged in as root" : `by ${by}`);
}

function architecture(spec: Spec, facts: Facts): Finding {
  const machine = architectures[spec.system.architecture].kernel;
  if (facts.architecture !== machine)
    return noGo("architecture", `the host is ${facts.architecture}, the definition is for ${machine}`);
  return go("architecture", facts.architecture);
}

function virtualisation(facts: Facts): Finding {
  if (facts.container !== "none")
    return noGo(
      "machine",
      `the host is a container (${facts.container}): it has no kernel of its own to replace`,
    );
  return go("machine", `${facts.os.name}, kernel ${facts.kernel}`);
}

function takeover(chosen: Chosen | NoWay): Finding {
  if ("problem" in chosen) return noGo("takeover", chosen.problem, chosen.hint);
  return go("takeover", chosen.detail);
}

function memory(facts: Facts, { baseBytes, treeBytes = 0, takeover: chosen }: PreflightInput): Finding {
  const { total } = memoryNeeds({ baseBytes, treeBytes, onDisk: false });
  const available = "problem" in chosen ? 0 : chosen.availableMib;
  const { total: hasTotal, available: hasAvailable } = facts.memoryMib;
  const sum = treeBytes === 0 ? "" : `; ${total.sum}`;
  const numbers = `${hasTotal} MiB in all, ${hasAvailable} MiB available; needed ${total.mib} and ${available} MiB${sum}`;
  const other = treeBytes === 0 ? "" : "; --build-on target takes less";
  if (hasTotal < total.mib)
    return noGo("memory", numbers, `the base works in RAM; this machine is too small for it${other}`);
  if (hasAvailable < available)
    return noGo(
      "memory",
      numbers,
      `stop services on the host to make room for the base, and deploy again${other}`,
    );
  return go("memory", numbers);
}

/** The host fetches its packages itself, unless the tree is shipped; then the new system's apt is all that asks a mirror. */
function mirror({ mirror: found, treeSent = false }: PreflightInput): Finding {
  if ("url" in found) return go("mirror", `${found.url} answers the target`);
  if (treeSent)
    return warn(
      "mirror",
      found.problem,
      "the tree is sent, so no mirror is needed; the new system's apt will ask the same",
    );
  return noGo(
    "mirror",
    found.problem,
    "the target pulls its packages itself: name a reachable `mirror` in the definition",
  );
}

/** The base begins with the hardware clock, and would refuse a payload that is of another time. */
function clock(facts: Facts, { now, ignored }: PreflightInput["clock"]): Finding {
  const isOff = (seconds: number) => Math.abs(seconds * 1000 - now) > clockToleranceMs;
  const seconds = facts.hardwareClock ?? facts.clock;
  const which = facts.hardwareClock === undefined ? "clock" : "hardware clock";
  const detail = `the host's ${which} says ${new Date(Math.min(seconds, maxSeconds) * 1000).toISOString()}`;
  if (!isOff(seconds)) return go("clock", detail);
  const off = `${detail}, yours ${new Date(now).toISOString()}`;
  if (ignored) return warn("clock", off, "the payload will be taken at any age, as --ignore-clock says");
  return noGo(
    "clock",
    `${off}: the base would refuse the payload`,
    `${isOff(facts.clock) ? "set the host's time, then run" : "run"} \`hwclock --systohc\` on the host, or deploy with --ignore-clock`,
  );
}

function network({ problems, left }: PreflightInput["network"]): Finding {
  if (problems.length > 0)
    return noGo("network", problems.join("; "), "the base would not be reachable after the takeover");
  const but = left.length === 0 ? "" : `, but for ${left.join("; ")}`;
  return go("network", `can be set up again in the base${but}`);
}

function disksFound(problem: PreflightInput["diskProblem"]): Finding {
  if (problem === undefined) return go("disks", "each disk of the definition was found exactly once");
  return noGo("disks", problem.message, problem.hint);
}

function consoles({ cmdline }: Facts): Finding[] {
  const odd = consoleWords(cmdline).filter((word) => !consoleForm.test(word));
  if (odd.length === 0) return [];
  const words = odd.map((value) => `console=${value}`).join(" ");
  return [
    warn(
      "console",
      `the host's command line has ${words}, which names no console as the kernel takes it, and is left out`,
      "see that one is left by which you reach the machine",
    ),
  ];
}

function hostKeys(spec: Spec, facts: Facts): Finding {
  if (spec.hostKeys === "keep" && facts.hostKeys.length === 0)
    return noGo("host keys", "none were found on the host to keep", 'say hostKeys: "new" in the definition');
  return go("host keys", spec.hostKeys === "keep" ? `${facts.hostKeys.length} kept` : "from the definition");
}

function room({ has, least, usual }: Room): Finding {
  const detail = `${toMib(has)} MiB where packages go; the definition takes about ${toMib(usual)} MiB`;
  if (has < least)
    return noGo("room", detail, "make the partitions larger, or install less: a full disk ends the build");
  if (has >= usual) return go("room", detail);
  return warn("room", detail, "a full disk ends the build after the first write");
}

function toMib(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20);
}

function sshServer(
  locked: PreflightInput["locked"],
  { ports, sure, reached }: PreflightInput["sshPorts"],
): Finding {
  const check = "ssh server";
  if (!locked.has("openssh-server"))
    return noGo(
      check,
      "the definition installs none, so the new system could not be logged in to or verified",
      "add openssh-server to packages.install",
    );
  const told = `port ${ports.join(", ") || "unknown"}`;
  if (ports.includes(reached)) return go(check, `openssh-server, ${told}`);
  if (!sure)
    return warn(
      check,
      `the definition's files say ${told}, and what else it changes may say more; the new system will be looked for at port ${reached}, where the host is reached`,
      "see that it listens there",
    );
  return noGo(
    check,
    `the new system's listens on ${told} alone; it will be looked for at port ${reached}, where the host is reached`,
    `have it listen on ${reached} too (with \`Port\`, or in \`ListenAddress\` where that names ports), and take that out once you come in by the other`,
  );
}

/** What a whole nftables.conf lets in is not known here. */
function wall({ firewall }: Spec, reached: number): Finding[] {
  if (typeof firewall === "string")
    return [
      warn(
        "firewall",
        `the definition has an nftables.conf of its own, and the new system will be looked for at port ${reached}`,
        "see that it lets that port in",
      ),
    ];
  if (firewall === undefined || comesIn(firewall, reached)) return [];
  return [
    noGo(
      "firewall",
      `the new system's lets nothing in at port ${reached}, where the host is reached and the new system will be looked for`,
      `add ${reached} to firewall.tcp in the definition, and take it out once you come in by another port`,
    ),
  ];
}

function rehearsal(tried: boolean): Finding {
  if (tried) return go("rehearsal", "this definition was built here before, as it is");
  return warn(
    "rehearsal",
    "this definition was never built here as it is: a script that fails, or a unit, program, user, group, locale or time zone that no package has, would be found out on wiped disks",
    "`imgbuild test` it first",
  );
}
