import type { Range } from "./disk-view.ts";
import { sectorBytes } from "./disk-view.ts";
import type { Ext4 } from "./ext4.ts";
import type { FileAt } from "./filesystem.ts";
import { Unreadable } from "./unreadable.ts";
import type { ReadAt } from "./write-log.ts";

/** fs/jbd2 and include/linux/jbd2.h; all of it is big-endian. */
const magic = 0xc03b3998;
const types = { descriptor: 1, commit: 2, revoke: 5 } as const;
const incompat = { revoke: 1, bits64: 2, checksum2: 8, checksum3: 0x10 } as const;
const knownIncompat = 1 | 2 | 8 | 0x10;
const tagFlags = { sameUuid: 2, last: 8 } as const;
const headerBytes = 12;

/** A block of the filesystem, and the block of the journal that Linux puts into its place when it mounts. Bytes on the disk. */
export interface Replayed {
  readonly to: number;
  readonly from: number;
}

/** What mounting would do to the filesystem before anything is read of it: the blocks of whole transactions, in order. */
export function replayOf(read: ReadAt, ext4: Ext4, start: number): Replayed[] {
  const at = placesOf(ext4.journal, ext4.blockBytes);
  if (at.length === 0) throw new Unreadable("an ext4 without a journal");
  const head = read(at[0]!, 1024);
  if (head.readUInt32BE(0) !== magic) throw new Unreadable("a torn journal of ext4");
  const features = head.readUInt32BE(40);
  if ((features & ~knownIncompat) !== 0)
    throw new Unreadable(`a journal with the features ${features.toString(16)}`);
  const [blocks, first, from] = [16, 20, 28].map((where) => head.readUInt32BE(where)) as [
    number,
    number,
    number,
  ];
  if (from === 0) return [];
  if (blocks > at.length || first === 0 || from >= blocks) throw new Unreadable("a torn journal of ext4");
  const journal = {
    ...{ features, blockBytes: ext4.blockBytes, at },
    block: (index: number) => read(at[index]!, ext4.blockBytes),
    after: (index: number, by = 1) => first + ((index - first + by) % (blocks - first)),
  };
  const transactions = scan(journal, { from, sequence: head.readUInt32BE(24), most: blocks });
  const revoked = new Map<number, number>();
  for (const [index, { revokes }] of transactions.entries())
    for (const block of revokes) revoked.set(block, index);
  return transactions.flatMap(({ writes }, index) =>
    writes
      .filter(({ block }) => (revoked.get(block) ?? -1) < index)
      .map(({ block, copy }) => ({ to: start + block * ext4.blockBytes, from: at[copy]! })),
  );
}

interface Journal {
  readonly features: number;
  readonly blockBytes: number;
  readonly at: readonly number[];
  block(index: number): Buffer;
  after(index: number, by?: number): number;
}

interface Transaction {
  readonly writes: { readonly block: number; readonly copy: number }[];
  readonly revokes: number[];
}

/** Transactions with their commit blocks; the first without one is where the journal ends. */
function scan(journal: Journal, start: { from: number; sequence: number; most: number }): Transaction[] {
  const whole: Transaction[] = [];
  let open: Transaction = { writes: [], revokes: [] };
  let { from: index, sequence } = start;
  for (let seen = 0; seen < start.most; ) {
    const block = journal.block(index);
    if (block.readUInt32BE(0) !== magic || block.readUInt32BE(8) !== sequence) return whole;
    const type = block.readUInt32BE(4);
    let used = 1;
    if (type === types.descriptor) {
      const tags = tagsOf(journal, block);
      for (const [order, target] of tags.entries())
        open.writes.push({ block: target, copy: journal.after(index, order + 1) });
      used += tags.length;
    } else if (type === types.revoke) open.revokes.push(...revokesOf(journal, block));
    else if (type === types.commit) {
      whole.push(open);
      open = { writes: [], revokes: [] };
      sequence = (sequence + 1) >>> 0;
    } else return whole;
    index = journal.after(index, used);
    seen += used;
  }
  return whole;
}

function tagsOf({ features, blockBytes }: Journal, block: Buffer): number[] {
  const third = (features & incompat.checksum3) !== 0;
  const wide = (features & incompat.bits64) !== 0;
  const tail = third || (features & incompat.checksum2) !== 0 ? 4 : 0;
  const each = third ? 16 : wide ? 12 : 8;
  const targets: number[] = [];
  for (let at = headerBytes; at + each <= blockBytes - tail; ) {
    const flags = third ? block.readUInt32BE(at + 4) : block.readUInt16BE(at + 6);
    targets.push(block.readUInt32BE(at));
    at += each + ((flags & tagFlags.sameUuid) === 0 ? 16 : 0);
    if ((flags & tagFlags.last) !== 0) break;
  }
  return targets;
}

function revokesOf({ features, blockBytes }: Journal, block: Buffer): number[] {
  const each = (features & incompat.bits64) === 0 ? 4 : 8;
  const end = Math.min(block.readUInt32BE(headerBytes), blockBytes);
  const found: number[] = [];
  for (let at = headerBytes + 4; at + each <= end; at += each) found.push(block.readUInt32BE(at + each - 4));
  return found;
}

/** Where each block of a file is. */
function placesOf({ pieces }: FileAt, blockBytes: number): number[] {
  return pieces.flatMap(({ at, length }) => {
    if (at < 0) throw new Unreadable("a journal with holes");
    return Array.from({ length: length / blockBytes }, (_, index) => at + index * blockBytes);
  });
}

export function sectorsOf({ pieces }: FileAt): Range[] {
  return pieces
    .filter(({ at }) => at >= 0)
    .map(({ at, length }) => [at / sectorBytes, (at + length) / sectorBytes]);
}
