import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { copyFile, link, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type CpioEntry, cpio } from "../../archive/cpio.ts";
import { frame } from "../takeover/base-cpio.ts";

/** Name of the squashfs in the initramfs; /init mounts it. */
const squashfsName = "base.squashfs";

/**
 * What is shipped, from what the tree's directory holds: `kernel`; `outer`, the archive with /init, modules and runner;
 * `squashfs`, the archive with the root filesystem alone; `kit`; and `busybox`. Each with its SHA-256 beside it.
 */
export async function packBase(
  from: string,
  into: string,
  own: { readonly init: Uint8Array; readonly runner: Uint8Array },
): Promise<void> {
  const file = async (name: string, path: string, mode: number): Promise<CpioEntry> => ({
    type: "file",
    name,
    mode,
    path,
    size: (await stat(path)).size,
  });
  const outer: CpioEntry[] = [
    { type: "file", name: "init", mode: 0o755, content: own.init },
    { type: "file", name: "imgbuild/runner.cjs", mode: 0o644, content: own.runner },
    await file("bin/busybox", join(from, "busybox"), 0o755),
    { type: "symlink", name: "bin/sh", target: "busybox" },
  ];
  for (const name of await readdir(join(from, "modules")))
    outer.push(await file(`modules/${name}`, join(from, "modules", name), 0o644));
  await save(cpio(outer), join(into, "outer"));
  await save(cpio([await file(squashfsName, join(from, "squashfs"), 0o644)]), join(into, "squashfs"));
  for (const [name, path] of [
    ["kernel", "kernel"],
    ["kit", "kit.tar.gz"],
    ["busybox", "busybox"],
  ] as const)
    await link(join(from, path), join(into, name)).catch(() => copyFile(join(from, path), join(into, name)));
  for (const name of ["kernel", "outer", "squashfs", "kit", "busybox"]) {
    const hash = createHash("sha256");
    await pipeline(createReadStream(join(into, name)), hash);
    await writeFile(join(into, `${name}.sha256`), `${hash.digest("hex")}\n`);
  }
}

/** The byte at which the squashfs begins in its archive, where a loop device can show it. */
export async function squashfsStart(): Promise<number> {
  return (await frame(squashfsName, 1)).before.length;
}

async function save(chunks: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  await pipeline(Readable.from(chunks), createWriteStream(path));
}
