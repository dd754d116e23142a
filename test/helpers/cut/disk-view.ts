import { createHash } from "node:crypto";
import type { LogEntry, ReadAt } from "./write-log.ts";

export const sectorBytes = 512;
/** Where a sector's bytes are: 0 on the old disk, -1 nowhere, as they are zeros, else one more than its sector of the log. */
const old = 0;
const zeros = -1;
const mostAtOnce = 8192;

export type Change = Extract<LogEntry, { kind: "write" | "discard" }>;
/** Sectors by their numbers; the second is the first that is not meant. */
export type Range = readonly [from: number, to: number];

interface Parts {
  readonly size: number;
  /** The old disk, and the log with its data. */
  readonly disk: ReadAt;
  readonly log: ReadAt;
}

/**
 * A disk in the making, without a copy of it: each sector is the old disk's, zeros, or one of the log. A change can be taken back.
 * What a reader reads of it is noted, so that it need not read again what has not changed.
 */
export class DiskView {
  readonly sectors: Int32Array;
  readonly size: number;
  readonly #parts: Parts;
  #seen: Uint8Array | undefined;

  constructor(parts: Parts, sectors: Int32Array = new Int32Array(parts.size / sectorBytes)) {
    this.size = parts.size;
    this.#parts = parts;
    this.sectors = sectors;
  }

  /** Another state of the same disk. */
  at(sectors: Int32Array): DiskView {
    return new DiskView(this.#parts, sectors);
  }

  /** Does what the entry says, or only its first `length` bytes. */
  apply(change: Change, length = change.length): void {
    const first = change.offset / sectorBytes;
    const count = length / sectorBytes;
    if (change.kind === "discard") this.sectors.fill(zeros, first, first + count);
    else {
      const source = change.dataAt / sectorBytes + 1;
      for (let index = 0; index < count; index += 1) this.sectors[first + index] = source + index;
    }
  }

  /** How to take back what is done to the places of a change. */
  save(change: Change): () => void {
    const [first, last] = rangeOf(change);
    const before = this.sectors.slice(first, last);
    return () => this.sectors.set(before, first);
  }

  /** Notes what is read from now on, in place of what was noted before; gives the way back to that. */
  note(): () => void {
    const before = this.#seen;
    this.#seen = new Uint8Array(this.sectors.length);
    return () => {
      this.#seen = before;
    };
  }

  /** Whether any sector of the range was read since `note`. */
  wasSeen([from, to]: Range): boolean {
    if (this.#seen === undefined) return true;
    return this.#seen.subarray(from, to).includes(1);
  }

  readonly read: ReadAt = (offset, length) => {
    const first = Math.floor(offset / sectorBytes);
    const last = Math.ceil((offset + length) / sectorBytes);
    this.#seen?.fill(1, first, last);
    const into = Buffer.alloc((last - first) * sectorBytes);
    for (const run of this.#runs([first, last])) this.#fill(into, first, run);
    return into.subarray(offset - first * sectorBytes, offset - first * sectorBytes + length);
  };

  /** A name for where the bytes of these sectors come from: with the same, they are the same. */
  origin(ranges: readonly Range[]): string {
    const hash = createHash("sha1");
    for (const [from, to] of ranges) {
      this.#seen?.fill(1, from, to);
      const part = this.sectors.subarray(from, to);
      hash.update(`${from}-${to}:`).update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    }
    return hash.digest("hex");
  }

  /** Whether a range has the bytes that it has in another state of the same disk. */
  isSame(other: Int32Array, [from, to]: Range): boolean {
    for (let sector = from; sector < to; sector += 1) {
      if (this.sectors[sector] === other[sector]) continue;
      if (!this.#bytes(this.sectors[sector]!, sector).equals(this.#bytes(other[sector]!, sector)))
        return false;
    }
    return true;
  }

  /** Ranges that are not the old disk's, each small enough to be read at once. */
  *changed(): Generator<Range> {
    for (const { at, source, count } of this.#runs([0, this.sectors.length])) {
      if (source === old) continue;
      for (let from = at; from < at + count; from += mostAtOnce)
        yield [from, Math.min(from + mostAtOnce, at + count)];
    }
  }

  #bytes(source: number, sector: number): Buffer {
    if (source === zeros) return Buffer.alloc(sectorBytes);
    if (source === old) return this.#parts.disk(sector * sectorBytes, sectorBytes);
    return this.#parts.log((source - 1) * sectorBytes, sectorBytes);
  }

  /** Sectors that are beside each other where they come from, too. */
  *#runs([from, to]: Range): Generator<{ at: number; source: number; count: number }> {
    for (let at = from; at < to; ) {
      const source = this.sectors[at] ?? zeros;
      let count = 1;
      const next = () => (source <= 0 ? source : source + count);
      while (at + count < to && this.sectors[at + count] === next()) count += 1;
      yield { at, source, count };
      at += count;
    }
  }

  #fill(
    into: Buffer,
    first: number,
    { at, source, count }: { at: number; source: number; count: number },
  ): void {
    if (source === zeros) return;
    const bytes =
      source === old
        ? this.#parts.disk(at * sectorBytes, count * sectorBytes)
        : this.#parts.log((source - 1) * sectorBytes, count * sectorBytes);
    bytes.copy(into, (at - first) * sectorBytes);
  }
}

export function rangeOf({ offset, length }: { readonly offset: number; readonly length: number }): Range {
  return [Math.floor(offset / sectorBytes), Math.ceil((offset + length) / sectorBytes)];
}
