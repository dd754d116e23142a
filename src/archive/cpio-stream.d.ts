/** The part of cpio-stream 1.4.3 that the adapter uses; the package brings no types. */
declare module "cpio-stream" {
  import type { Readable, Writable } from "node:stream";

  interface Header {
    name: string;
    type: "file" | "directory" | "symlink";
    mode: number;
    ino: number;
    nlink: number;
    uid: number;
    gid: number;
    mtime: number;
    size?: number;
  }
  interface Pack extends Readable {
    entry(header: Header, content: Uint8Array, callback: (error?: Error) => void): Writable;
    entry(header: Header, callback: (error?: Error) => void): Writable;
    finalize(): void;
  }
  export function pack(options: { format: "newc" }): Pack;
}
