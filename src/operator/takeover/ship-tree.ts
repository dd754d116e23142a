import type { Host } from "../../transport/host.ts";
import { type FileInfo, upload, workDir } from "./takeover.ts";
import { fitsOnDisk } from "./ways/memory.ts";

const lookMs = 60_000;

/**
 * Brings a packed tree to where the initramfs will be laid together: beside the cached base, where the disk has room and can be written,
 * so that RAM holds neither; else to RAM. It is gone when it is in the initramfs.
 */
export async function shipTree(
  host: Host,
  tree: FileInfo,
  about: {
    /** Where the base is. */
    readonly directory: string;
    readonly cacheMib: number;
    readonly baseBytes: number;
    readonly signal: AbortSignal;
    readonly onProgress: (done: number, total: number) => void;
  },
): Promise<void> {
  const { directory, cacheMib, baseBytes, signal } = about;
  const fits = fitsOnDisk(cacheMib, { baseBytes, treeBytes: tree.size });
  const stage = fits && (await isWritable(host, directory, signal)) ? directory : workDir;
  await upload(host, tree, `${stage}/tree`, signal, {
    onProgress: (done) => about.onProgress(done, tree.size),
  });
}

async function isWritable(host: Host, directory: string, signal: AbortSignal): Promise<boolean> {
  const how = { root: true, timeoutMs: lookMs, signal, accept: [0, 1] };
  return (await host.exec(["test", "-w", directory], how)).code === 0;
}
