import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { Fail } from "../util/fail.ts";
import { cpio } from "./cpio.ts";

/** Name of a finished tree in the initramfs; `initramfs/init` knows it. */
export const treeMember = "imgbuild-tree";
/** Of a member of the kernel's archives. */
const mostBytes = 2 ** 32 - 1;

/** Puts a packed tree of `size` bytes into an archive for the initramfs. */
export async function writeTreeArchive(path: string, size: number, to: string): Promise<void> {
  if (size > mostBytes)
    throw new Fail(
      `the tree has ${Math.round(size / 2 ** 20)} MiB, packed; an initramfs holds 4 GiB less one byte`,
      { hint: "deploy with --build-on target" },
    );
  const member = { type: "file", name: treeMember, mode: 0o600, path, size } as const;
  await pipeline(cpio([member]), createWriteStream(to, { mode: 0o600 }));
}
