import type { Measured } from "../records/measured.ts";
import { type Chosen, chooseWay, type NoWay } from "../takeover/ways/choose.ts";
import { fitsOnDisk, memoryNeeds } from "../takeover/ways/memory.ts";
import type { WayName } from "../takeover/ways/way.ts";
import { type HostRoom, hostRoom } from "./host-room.ts";

/**
 * Where the tree of a deploy is made: "target", by the base, of packages that the host fetches; "local", on the operator's machine, and
 * shipped; "host", beside the running old system, where it is asked for.
 */
export type BuildOn = "local" | "host" | "target";

const mib = 2 ** 20;
/** A packed tree in multiples of its packages' files, where it was not made yet; seen is 1.3. */
const packedPerPackages = 1.6;

interface Ways {
  /** As the command line says; undefined lets us choose. */
  readonly asked: BuildOn | undefined;
  readonly facts: Parameters<typeof chooseWay>[0];
  readonly baseBytes: number;
  /** How the base is to be started, if that was said. */
  readonly wanted?: WayName | undefined;
  /** All .deb files of the lock together. */
  readonly packagesBytes: number;
  /** Its size where the cache has it; why none can be made here. */
  readonly tree: { readonly bytes: number | undefined } | { readonly problem: string };
  /** What was measured when this host was deployed to before. */
  readonly before: Measured | undefined;
}

interface Choice {
  readonly buildOn: BuildOn;
  /** Of the tree that is to be shipped, as far as it is known; 0 where none is. */
  readonly treeBytes: number;
  readonly takeover: Chosen | NoWay;
  /** Where the old system would make it, or why it cannot. */
  readonly room: HostRoom | { readonly problem: string };
  /** Why, with the numbers; a line for each way. */
  readonly lines: readonly string[];
}

/** Chooses where the tree is made, and how the base is started for that. Pure. */
export function chooseBuildOn(ways: Ways): Choice {
  const { asked, facts, tree, packagesBytes } = ways;
  const guess = Math.ceil(packagesBytes * packedPerPackages);
  const treeBytes = "problem" in tree ? guess : (tree.bytes ?? guess);
  const local = needsOf(ways, treeBytes);
  // Its size is known only where it was made here: what is made there is the same.
  const room = hostRoom(facts, { ...ways, treeBytes });
  const target = needsOf(ways, 0);
  const against = "problem" in tree ? tree.problem : problemOf(facts, local, target);
  const buildOn = asked ?? (against === undefined ? "local" : "target");
  const held = memoryNeeds({ ...ways, treeBytes: 0, onDisk: true, packagesBytes }).total;
  const when =
    facts.memoryMib.total < held.mib
      ? `mostly after the first write, as RAM is short of the ${held.mib} MiB to hold them (${held.sum})`
      : `before the first write, into RAM (${held.sum})`;
  const sent = `${"problem" in tree || tree.bytes === undefined ? "about " : ""}${inMib(treeBytes)} MiB`;
  const lines = [
    `local: ${sent} of tree to send${during(treeBytes, ways.before)}; RAM ${shown(facts, local)}; downtime ${downtime(ways.before, "local")}${against === undefined ? "" : `; not chosen by itself: ${against}`}`,
    `target: the host fetches ${inMib(packagesBytes)} MiB of packages, ${when}; RAM ${shown(facts, target)}; downtime ${downtime(ways.before, "target")}`,
    hostLine(ways, room, local),
  ];
  const shipped = buildOn !== "target";
  const { takeover } = shipped ? local : target;
  return { buildOn, treeBytes: shipped ? treeBytes : 0, takeover, room, lines };
}

function hostLine({ facts, packagesBytes, before }: Ways, room: Choice["room"], needs: Needs): string {
  if ("problem" in room) return `host: not possible: ${room.problem}`;
  const where = room.on === "memory" ? "RAM" : "disk";
  return `host: the old system fetches ${inMib(packagesBytes)} MiB of packages and makes the tree, at low priority, in ${room.mib} MiB of ${where} (${room.sum}), and nothing of it is sent; RAM ${shown(facts, needs)}; downtime ${downtime(before, "host")}`;
}

interface Needs extends ReturnType<typeof memoryNeeds> {
  readonly takeover: Chosen | NoWay;
}

function needsOf({ facts, baseBytes, wanted }: Ways, treeBytes: number): Needs {
  const takeover = chooseWay(facts, { baseMib: inMib(baseBytes), treeMib: inMib(treeBytes), wanted });
  const onDisk = fitsOnDisk(facts.cacheMib, { baseBytes, treeBytes });
  return { takeover, ...memoryNeeds({ baseBytes, treeBytes, onDisk }) };
}

/** What speaks against a tree that is sent. */
function problemOf({ memoryMib }: Ways["facts"], local: Needs, target: Needs): string | undefined {
  if ("problem" in local.takeover) return local.takeover.problem;
  if (memoryMib.total < local.total.mib || memoryMib.available < local.takeover.availableMib)
    return "the host's RAM is too small for it";
  if ("way" in target.takeover && target.takeover.way.name !== local.takeover.way.name)
    return `the base would be started by ${local.takeover.way.name} for it, and not by ${target.takeover.way.name}`;
  return undefined;
}

function shown({ memoryMib }: Ways["facts"], { total, available, takeover }: Needs): string {
  // The sum is that of kexec.
  const isSum = "way" in takeover && takeover.availableMib === available.mib;
  const before = "way" in takeover ? takeover.availableMib : available.mib;
  return `${total.mib} of ${memoryMib.total} MiB (${total.sum}), in the old system ${before} of ${memoryMib.available} MiB${isSum ? ` (${available.sum})` : ""}`;
}

function during(bytes: number, before: Measured | undefined): string {
  const rate = before?.bytesPerSecond;
  if (rate === undefined || rate <= 0) return " (at a rate that was not measured yet)";
  return `, ${Math.ceil(bytes / rate)} s at ${(rate / mib).toFixed(1)} MiB/s as before`;
}

function downtime(before: Measured | undefined, way: BuildOn): string {
  const seconds = before?.downtimeSeconds?.[way];
  if (seconds !== undefined) return `${Math.round(seconds)} s the last time`;
  return way !== "target"
    ? "about two restarts, and the time to unpack"
    : "until all packages are configured, minutes";
}

function inMib(bytes: number): number {
  return Math.ceil(bytes / mib);
}
