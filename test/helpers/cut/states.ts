import { type Change, sectorBytes } from "./disk-view.ts";
import type { LogEntry } from "./write-log.ts";

/** Of writes that were not flushed yet, so many sets are tried at most where there are too many for all. */
const mostSets = 24;
/** Up to so many writes, all of their sets are tried. */
const allSetsOf = 4;
/** Of a write, so many places at most where it is torn; all of one of 4 KiB. */
const mostTears = 10;

/** What a power cut during these entries may leave, beginning with a disk on which all before them is. */
export type Walk =
  /** Everything so far was written: it is the disk from which torn writes come. */
  | {
      readonly type: "wrote";
      readonly entry: number;
      readonly change: Change;
      readonly tears: readonly number[];
    }
  /** All that was not flushed until here is flushed now; it was in these sets at the cut, beside those that are whole. */
  | {
      readonly type: "flushed";
      readonly entry: number;
      readonly changes: readonly Change[];
      readonly sets: readonly (readonly Change[])[];
    };

/** Goes through a log and says what power cuts leave: every prefix, torn last writes, sets of what was not flushed. */
export function* walkOf(entries: Iterable<LogEntry>, random: () => number): Generator<Walk> {
  let pending: Change[] = [];
  let index = 0;
  const flush = function* (): Generator<Walk> {
    if (pending.length > 0)
      yield { type: "flushed", entry: index, changes: pending, sets: setsOf(pending, random) };
    pending = [];
  };
  for (const entry of entries) {
    if (entry.kind === "flush" || (entry.kind === "write" && entry.flush)) yield* flush();
    if (entry.kind === "write" || entry.kind === "discard") {
      yield {
        type: "wrote",
        entry: index,
        change: entry,
        tears: entry.kind === "write" ? tearsOf(entry.length, random) : [],
      };
      pending.push(entry);
    }
    index += 1;
  }
  yield* flush();
}

/** Lengths, in bytes, to which a write may come. */
export function tearsOf(length: number, random: () => number): number[] {
  const sectors = length / sectorBytes;
  const all = Array.from({ length: sectors - 1 }, (_, index) => index + 1);
  if (all.length <= mostTears) return all.map((count) => count * sectorBytes);
  const chosen = new Set([1, sectors - 1, Math.floor(sectors / 2)]);
  while (chosen.size < mostTears) chosen.add(1 + Math.floor(random() * (sectors - 1)));
  return [...chosen].sort((a, b) => a - b).map((count) => count * sectorBytes);
}

/** Sets of writes, each in the order in which they were made, that are no prefix of it: these come by themselves. */
export function setsOf<T>(changes: readonly T[], random: () => number): T[][] {
  const masks = changes.length <= allSetsOf ? allMasks(changes.length) : someMasks(changes.length, random);
  return masks.filter((mask) => !isPrefix(mask)).map((mask) => changes.filter((_, index) => mask[index]));
}

function allMasks(count: number): boolean[][] {
  return Array.from({ length: 2 ** count }, (_, bits) =>
    Array.from({ length: count }, (_one, at) => (bits & (1 << at)) > 0),
  );
}

/** Without one of them, one alone, and by chance: few, half, most. */
function someMasks(count: number, random: () => number): boolean[][] {
  const third = mostSets / 3;
  const pick = () => Math.floor(random() * count);
  const make = (of: (at: number) => boolean) => Array.from({ length: count }, (_, at) => of(at));
  const alone = Array.from({ length: third }, pick).map((only, order) =>
    make((at) => at === (order === 0 ? count - 1 : only)),
  );
  const without = Array.from({ length: third }, pick).map((gone, order) =>
    make((at) => at !== (order === 0 ? 0 : gone)),
  );
  const chance = Array.from({ length: third }, (_, order) => [0.1, 0.5, 0.9][order % 3]!).map((share) =>
    make(() => random() < share),
  );
  return [...alone, ...without, ...chance];
}

function isPrefix(mask: readonly boolean[]): boolean {
  const first = mask.indexOf(false);
  return first < 0 || !mask.includes(true, first);
}
