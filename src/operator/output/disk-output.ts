import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../system/run/run.ts";
import { Fail } from "../../util/fail.ts";
import type { ImageFormat } from "./output.ts";

/** Converting a few GiB on a slow disk. */
const convertMs = 3_600_000;
const sector = 512;

/** qemu-img's name and options of each format; nothing that is seen in the bytes is left to its defaults. */
const converted: Partial<Record<ImageFormat, readonly string[]>> = {
  qcow2: ["-O", "qcow2", "-c", "-o", "compat=1.1,cluster_size=65536,compression_type=zlib"],
  // What importers take (OVF, clouds); its grains are compressed.
  vmdk: ["-O", "vmdk", "-o", "subformat=streamOptimized,adapter_type=lsilogic,hwversion=14"],
  vhdx: ["-O", "vhdx", "-o", "subformat=dynamic,block_size=8388608,log_size=1048576"],
};

/** A raw disk as a file of another format, called `name` in a directory of its own: a VMDK holds its own name. */
export async function convertDisk(
  raw: string,
  to: { readonly format: ImageFormat; readonly work: string; readonly name: string },
  signal: AbortSignal,
): Promise<string> {
  const options = converted[to.format];
  if (options === undefined) return raw;
  const directory = join(to.work, "converted");
  await mkdir(directory, { recursive: true });
  const made = join(directory, to.name);
  await run(["qemu-img", "convert", "-f", "raw", ...options, raw, made], {
    timeoutMs: convertMs,
    signal,
    cwd: directory,
    // It reports a full disk in several ways, or not at all.
    hint: "is there room beside the output? free some space, or name another place for it",
  });
  if (to.format === "vmdk") await settleVmdk(made);
  return made;
}

/**
 * Gives a VMDK a content ID of no chance: qemu-img takes a random one. By it a child image knows that its parent
 * has changed, and here there is no child. The descriptor is text in whole sectors, filled up with zeros (VMware's Virtual Disk Format 1.1).
 */
export async function settleVmdk(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    const header = Buffer.alloc(sector);
    await file.read(header, 0, sector, 0);
    if (header.toString("latin1", 0, 4) !== "KDMV") throw new Fail(`${path} is no VMDK`);
    const [at, length] = [header.readBigUInt64LE(28), header.readBigUInt64LE(36)].map(
      (sectors) => Number(sectors) * sector,
    ) as [number, number];
    const descriptor = Buffer.alloc(length);
    await file.read(descriptor, 0, length, at);
    // After its end there may be a scrap of a longer id.
    const [text = ""] = descriptor.toString("latin1").split("\0", 1);
    const settled = Buffer.alloc(length);
    settled.write(text.replace(/^CID=[0-9a-f]+$/m, "CID=00000001"), "latin1");
    await file.write(settled, 0, length, at);
  } finally {
    await file.close();
  }
}
