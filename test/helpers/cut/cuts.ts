import { type Change, DiskView, rangeOf } from "./disk-view.ts";
import { openExt4 } from "./ext4.ts";
import { bytesOf } from "./filesystem.ts";
import {
  type Facts,
  type Firmware,
  type Loader,
  loaderOf,
  type Probe,
  partitionsIn,
  probeDisk,
  type Start,
} from "./probe.ts";
import { randomFrom } from "./random.ts";
import { newRoot, oldRoot } from "./roots.ts";
import { walkOf } from "./states.ts";
import { Unreadable, unlessUnreadable } from "./unreadable.ts";
import { judge, type Roots, type Verdict, type Whole } from "./verdict.ts";
import { type LogEntry, logEntries, openForReading } from "./write-log.ts";

const menuPrefix = "/boot/grub";
const systemdMark = "#### LoaderInfo: systemd-boot";

export type Kind = "prefix" | "subset" | "torn";

/** States that were judged alike, and one of them. */
export interface Class {
  readonly verdict: Verdict;
  readonly why: string;
  count: number;
  /** The last entry with such a state. */
  last: number;
  /** The first of them; of the old system the last. */
  example: { readonly kind: Kind; readonly entry: number; readonly sectors: Int32Array };
}

/** Successive prefixes with the same verdict: from the end of an entry to the end of another. */
export interface Span {
  readonly verdict: Verdict;
  readonly why: string;
  readonly first: number;
  last: number;
}

export interface Cuts {
  readonly states: number;
  readonly classes: readonly Class[];
  readonly spans: readonly Span[];
  readonly whole: Whole;
  /** Dead states after the machine is base or new for the first time, and that is flushed. */
  readonly deadLater: number;
  /** Where each entry ends in the log, by which its time is known. */
  readonly ends: readonly number[];
}

/** Judges what a power cut may leave at every moment of a recording. `baseKernel`: digest of the kernel of the base. */
export function judgeCuts(
  recording: { readonly before: string; readonly log: string },
  how: { readonly firmware: Firmware; readonly seed: number; readonly baseKernel?: string },
): Cuts {
  const [disk, log] = [openForReading(recording.before), openForReading(recording.log)];
  try {
    const entries = [...logEntries(log.read, log.size)];
    const blank = () => new DiskView({ size: disk.size, disk: disk.read, log: log.read });
    return judgeAll(entries, blank, how);
  } finally {
    disk.close();
    log.close();
  }
}

export function judgeAll(
  entries: readonly LogEntry[],
  blank: () => DiskView,
  how: { readonly firmware: Firmware; readonly seed: number; readonly baseKernel?: string },
): Cuts {
  const before = blank();
  const after = blank();
  for (const entry of entries) if (isChange(entry)) after.apply(entry);
  const probe: Probe = {
    firmware: how.firmware,
    digests: new Map(),
    loaders: new Map([before, after].flatMap((view) => knownLoaders(view, how.firmware))),
  };
  const whole: Whole = {
    old: startNow(before, probe, "old"),
    new: startNow(after, probe, "new"),
    base: how.baseKernel === undefined ? undefined : baseStart(entries, blank(), probe, how.baseKernel),
  };
  const roots = {
    old: oldRoot(before, probe, whole.old.cmdline),
    new: newRoot(after, probe, whole.new.cmdline),
  };
  const tally = makeTally();
  const judged = (view: DiskView, facts: Facts) => {
    const known: Roots = { oldIsWhole: () => roots.old(view), newIsWhole: () => roots.new(view) };
    return judge(facts, whole, known);
  };
  const [written, flushed] = [watcher(blank(), probe), watcher(blank(), probe)];
  const spans: Span[] = [];
  let deadLater = 0;
  const note = (view: DiskView, facts: Facts, kind: Kind, entry: number) => {
    const found = judged(view, facts);
    tally.add(found, kind, entry, view);
    if (found.verdict === "dead" && entry > flushAfter(entries, spans)) deadLater += 1;
    if (kind === "prefix") addSpan(spans, found, entry);
  };
  note(written.view, written.facts(), "prefix", -1);
  for (const step of walkOf(entries, randomFrom(how.seed))) {
    if (step.type === "wrote") {
      for (const bytes of step.tears)
        written.trial([step.change], bytes, (view, facts) => note(view, facts, "torn", step.entry));
      written.keep([step.change]);
      note(written.view, written.facts(), "prefix", step.entry);
    } else {
      for (const set of step.sets)
        flushed.trial(set, undefined, (view, facts) => note(view, facts, "subset", step.entry));
      flushed.keep(step.changes);
    }
  }
  return {
    states: tally.states(),
    classes: tally.classes(),
    spans,
    whole,
    deadLater,
    ends: entries.map(({ end }) => end),
  };
}

/** A disk and what the probe saw of it, which is looked at again only where something of that has changed. */
function watcher(view: DiskView, probe: Probe) {
  view.note();
  let facts = probeDisk(view, probe);
  const touched = (changes: readonly Change[], bytes?: number) =>
    changes.some((change) =>
      view.wasSeen(rangeOf({ offset: change.offset, length: bytes ?? change.length })),
    );
  return {
    view,
    facts: () => facts,
    keep: (changes: readonly Change[]) => {
      const again = touched(changes);
      for (const change of changes) view.apply(change);
      if (!again) return;
      view.note();
      facts = probeDisk(view, probe);
    },
    /** As if only this had come to the disk: of the last change so many bytes. */
    trial: (
      changes: readonly Change[],
      bytes: number | undefined,
      look: (view: DiskView, facts: Facts) => void,
    ) => {
      const again = touched(changes, bytes);
      const back = changes.map((change) => view.save(change)).reverse();
      for (const change of changes) view.apply(change, bytes);
      if (again) {
        const unnote = view.note();
        const seen = probeDisk(view, probe);
        unnote();
        look(view, seen);
      } else look(view, facts);
      for (const restore of back) restore();
    },
  };
}

/** The base is not changed once it is written, so that of the last moment at which it would start is whole. */
function baseStart(
  entries: readonly LogEntry[],
  view: DiskView,
  probe: Probe,
  kernel: string,
): Start | undefined {
  let found: Start | undefined;
  const { facts, keep } = watcher(view, probe);
  for (const entry of entries) {
    if (isChange(entry)) keep([entry]);
    const { start } = facts();
    if (!(start instanceof Unreadable) && start.linux === kernel) found = start;
  }
  return found;
}

function startNow(view: DiskView, probe: Probe, which: string): Start {
  const { start } = probeDisk(view, probe);
  if (start instanceof Unreadable) throw new Error(`the ${which} system does not start: ${start.message}`);
  return start;
}

/** The loader of a disk that is whole, and where its menu is: GRUB's own words about that are packed. */
function knownLoaders(view: DiskView, firmware: Firmware): [string, Loader][] {
  const probe: Probe = { firmware, digests: new Map(), loaders: new Map() };
  const { digests, esp } = loaderOf(view, probe);
  const program =
    esp === undefined ? "" : bytesOf(view.read, esp.file("/EFI/BOOT/BOOTX64.EFI")).toString("latin1");
  if (program.includes(systemdMark)) return digests.map((digest) => [digest, { kind: "systemd-boot" }]);
  const uuids = partitionsIn(view, probe).flatMap((partition) => {
    const ext4 = unlessUnreadable(() => openExt4(view.read, partition));
    if (ext4 instanceof Unreadable) return [];
    return unlessUnreadable(() => ext4.file(`${menuPrefix}/grub.cfg`)) instanceof Unreadable
      ? []
      : [ext4.uuid];
  });
  if (uuids.length !== 1) throw new Error(`${uuids.length} filesystems have a menu of GRUB`);
  return digests.map((digest) => [digest, { kind: "grub", uuid: uuids[0]!, prefix: menuPrefix }]);
}

function makeTally() {
  const classes = new Map<string, Class>();
  let states = 0;
  return {
    states: () => states,
    classes: () => [...classes.values()],
    add: ({ verdict, why }: { verdict: Verdict; why: string }, kind: Kind, entry: number, view: DiskView) => {
      states += 1;
      const key = `${verdict}: ${why}`;
      const known = classes.get(key);
      const example = () => ({ kind, entry, sectors: Int32Array.from(view.sectors) });
      if (known === undefined) classes.set(key, { verdict, why, count: 1, last: entry, example: example() });
      else {
        known.count += 1;
        known.last = entry;
        if (verdict === "old") known.example = example();
      }
    },
  };
}

function addSpan(spans: Span[], { verdict, why }: { verdict: Verdict; why: string }, entry: number): void {
  const last = spans.at(-1);
  if (last?.verdict === verdict && last.why === why) last.last = entry;
  else spans.push({ verdict, why, first: entry, last: entry });
}

/** The first flush after the moment at which the machine is base or new. */
function flushAfter(entries: readonly LogEntry[], spans: readonly Span[]): number {
  const live = spans.find(({ verdict }) => verdict === "base" || verdict === "new");
  if (live === undefined) return Number.POSITIVE_INFINITY;
  const flush = entries.findIndex(({ kind }, index) => index > live.first && kind === "flush");
  return flush < 0 ? Number.POSITIVE_INFINITY : flush;
}

function isChange(entry: LogEntry): entry is Change {
  return entry.kind === "write" || entry.kind === "discard";
}
