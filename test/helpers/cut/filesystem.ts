import type { Partition } from "./partitions.ts";
import type { ReadAt } from "./write-log.ts";

/** Where a file's bytes are on the disk; -1 for bytes that are zeros. */
export interface FileAt {
  readonly size: number;
  readonly pieces: readonly { readonly at: number; readonly length: number }[];
}

/** A filesystem as a bootloader sees it: what is written is there, and no journal is replayed. Paths begin with "/". */
export interface Filesystem {
  readonly uuid: string;
  /** Fails by `Unreadable` where there is no such file. */
  file(path: string): FileAt;
  /** Names in a directory. */
  list(path: string): readonly string[];
}

export type OpenFilesystem = (read: ReadAt, partition: Partition) => Filesystem;

export function bytesOf(read: ReadAt, { size, pieces }: FileAt): Buffer {
  const parts = pieces.map(({ at, length }) => (at < 0 ? Buffer.alloc(length) : read(at, length)));
  return Buffer.concat(parts).subarray(0, size);
}
