import type { DiskView, Range } from "./disk-view.ts";
import { rangeOf, sectorBytes } from "./disk-view.ts";
import { type Ext4, openExt4, type Something } from "./ext4.ts";
import { openFat } from "./fat.ts";
import { replayOf, sectorsOf } from "./journal.ts";
import type { Partition } from "./partitions.ts";
import { ext4With, type Probe, partitionsIn } from "./probe.ts";
import { Unreadable, unlessUnreadable } from "./unreadable.ts";

/** Answers that are remembered: of the disk as it is written, and of what is flushed of it. */
const mostKnown = 3;

/** The root filesystem of a command line of Linux. */
export function rootOf(view: DiskView, probe: Probe, cmdline: string): { partition: Partition; ext4: Ext4 } {
  const uuid = /(?:^| )root=UUID=(\S+)/.exec(cmdline)?.[1];
  if (uuid === undefined) throw new Unreadable(`no root filesystem in "${cmdline}"`);
  return ext4With(view, partitionsIn(view, probe), uuid);
}

/**
 * Whether the old system still comes up: not a byte of its root filesystem is another than before the build, and the other filesystems
 * of its disk can be found, as its fstab may wait for them. What is in those may be new.
 */
export function oldRoot(before: DiskView, probe: Probe, cmdline: string): (view: DiskView) => boolean {
  const { partition } = rootOf(before, probe, cmdline);
  const others = partitionsIn(before, probe).flatMap((one) => {
    const uuid = uuidOn(before, one);
    return uuid === undefined || one.number === partition.number ? [] : [{ partition: one, uuid }];
  });
  const isWhole = remembering(partition, (view) => view.isSame(before.sectors, sectorsIn(partition)));
  return (view) => isWhole(view) && others.every((one) => uuidOn(view, one.partition) === one.uuid);
}

function uuidOn(view: DiskView, partition: Partition): string | undefined {
  for (const open of [openExt4, openFat]) {
    const found = unlessUnreadable(() => open(view.read, partition));
    if (!(found instanceof Unreadable)) return found.uuid;
  }
  return undefined;
}

/**
 * Whether everything that the finished filesystem holds is there, with the same bytes, once Linux has replayed the journal. What else
 * is there does not count: the build may clear up after the new system can start.
 */
export function newRoot(after: DiskView, probe: Probe, cmdline: string): (view: DiskView) => boolean {
  const { partition, ext4 } = rootOf(after, probe, cmdline);
  const wanted = [...ext4.everything()];
  const holds = (state: DiskView, { content }: Something) =>
    content === undefined || sectorsOf(content).every((range) => state.isSame(after.sectors, range));
  /** What was missing before is likely to be missing still. */
  let missing = wanted[0];
  const judge = (view: DiskView): boolean | Unreadable =>
    unlessUnreadable(() => {
      if (missing !== undefined && !holds(view, missing)) return false;
      // Data are not in the journal: they are at their places before it is looked at.
      missing = wanted.find((one) => !holds(view, one));
      if (missing !== undefined) return false;
      const mounted = replayed(view, partition);
      const found = new Map(
        [...openExt4(mounted.read, partition).everything()].map((one) => [one.path, one]),
      );
      return wanted.every((one) => isLike(found.get(one.path), one) && holds(mounted, one));
    });
  return remembering(partition, (view) => judge(view) === true);
}

/** Most states differ elsewhere: then the answer is that of before. */
function remembering(partition: Partition, answer: (view: DiskView) => boolean): (view: DiskView) => boolean {
  const [from, to] = sectorsIn(partition);
  let known: { readonly bytes: Buffer; readonly answer: boolean }[] = [];
  return (view) => {
    const part = view.sectors.subarray(from, to);
    const bytes = Buffer.from(part.buffer, part.byteOffset, part.byteLength);
    const found = known.find((one) => one.bytes.equals(bytes));
    if (found !== undefined) return found.answer;
    const made = { bytes: Buffer.from(bytes), answer: answer(view) };
    known = [made, ...known].slice(0, mostKnown);
    return made.answer;
  };
}

/** Files do not move: where its bytes are elsewhere, it is another. */
function isLike(found: Something | undefined, wanted: Something): boolean {
  if (found === undefined || found.mode !== wanted.mode || found.owner !== wanted.owner) return false;
  return found.short === wanted.short && JSON.stringify(found.content) === JSON.stringify(wanted.content);
}

/** The disk once Linux has mounted the filesystem. */
function replayed(view: DiskView, partition: Partition): DiskView {
  const ext4 = openExt4(view.read, partition);
  const sectors = Int32Array.from(view.sectors);
  const each = ext4.blockBytes / sectorBytes;
  for (const { to, from } of replayOf(view.read, ext4, partition.start)) {
    const source = from / sectorBytes;
    sectors.set(view.sectors.subarray(source, source + each), to / sectorBytes);
  }
  return view.at(sectors);
}

function sectorsIn({ start, size }: Partition): Range {
  return rangeOf({ offset: start, length: size });
}
