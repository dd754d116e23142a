import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";

/** Where a transfer's bytes go; what came stays for the next try. */
export interface Sink {
  readonly size: number;
  write(chunk: Buffer): Promise<void>;
  /** Forgets everything that was written. */
  reset(): Promise<void>;
  /** SHA-256 of what was written. */
  digest(): string;
}

export function memorySink(): Sink & { bytes(): Buffer } {
  let chunks: Buffer[] = [];
  let size = 0;
  return {
    get size() {
      return size;
    },
    write: async (chunk) => {
      chunks.push(chunk);
      size += chunk.length;
    },
    reset: async () => {
      chunks = [];
      size = 0;
    },
    digest: () => {
      const hash = createHash("sha256");
      for (const chunk of chunks) hash.update(chunk);
      return hash.digest("hex");
    },
    bytes: () => Buffer.concat(chunks),
  };
}

/** Keeps nothing but the size and the digest. */
export function countingSink(): Sink {
  let hash = createHash("sha256");
  let size = 0;
  return {
    get size() {
      return size;
    },
    write: async (chunk) => {
      hash.update(chunk);
      size += chunk.length;
    },
    reset: async () => {
      hash = createHash("sha256");
      size = 0;
    },
    digest: () => hash.copy().digest("hex"),
  };
}

interface FileSink extends Sink {
  /** Puts the file in its place; it was not there before, not even in part. */
  finish(): Promise<void>;
  /** Leaves what has come for another run to go on with, where that is of use. */
  leave(): Promise<void>;
}

/**
 * A part beside `file`. What an earlier run left is taken up by renaming it, which only one of several runs can do, so that
 * no two write into one file. `limit` is how long the whole may be; `keep` says whether a part is worth leaving.
 */
export async function fileSink(file: string, limit: number, keep: boolean): Promise<FileSink> {
  const left = `${file}.part`;
  const own = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}.part`;
  if (keep) await rename(left, own).catch(() => {});
  const found = await stat(own).catch(() => undefined);
  if (found !== undefined && found.size >= limit) await rm(own);
  const handle = await open(own, "a", 0o644);
  let hash = createHash("sha256");
  let { size } = await handle.stat();
  if (size > 0) for await (const chunk of createReadStream(own)) hash.update(chunk as Buffer);
  let closed = false;
  let full = false;
  const close = async () => {
    if (!closed) await handle.close();
    closed = true;
  };
  return {
    get size() {
      return size;
    },
    write: async (chunk) => {
      await handle.writeFile(chunk).catch((error: NodeJS.ErrnoException) => {
        // What fills the disk is not left on it.
        full = error.code === "ENOSPC" || error.code === "EDQUOT";
        throw error;
      });
      hash.update(chunk);
      size += chunk.length;
    },
    reset: async () => {
      await handle.truncate(0);
      hash = createHash("sha256");
      size = 0;
    },
    digest: () => hash.copy().digest("hex"),
    finish: async () => {
      await close();
      await rename(own, file);
    },
    leave: async () => {
      await close();
      if (keep && size > 0 && !full) await rename(own, left).catch(() => {});
      await rm(own, { force: true });
    },
  };
}
