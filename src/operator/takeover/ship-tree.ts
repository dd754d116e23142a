import type { Host } from "../../transport/host.ts";
import { type FileInfo, upload, workDir } from "./takeover.ts";
import { fitsOnDisk } from "./ways/memory.ts";

const lookMs = 60_000;

/** Of a host, what decides where a packed tree is put on it. */
interface About {
  /** Where the base is. */
  readonly directory: string;
  readonly cacheMib: number;
  readonly baseBytes: number;
  readonly signal: AbortSignal;
}

/** Brings a packed tree to where the initramfs will be laid together. It is gone when it is in the initramfs. */
export async function shipTree(
  host: Host,
  tree: FileInfo,
  about: About & { readonly onProgress: (done: number, total: number) => void },
): Promise<void> {
  const stage = await stageFor(host, tree.size, about);
  await upload(host, tree, `${stage}/tree`, about.signal, {
    onProgress: (done) => about.onProgress(done, tree.size),
  });
}

/** Beside the cached base, where the disk has room and can be written, so that RAM holds neither; else RAM. */
export async function stageFor(host: Host, treeBytes: number, about: About): Promise<string> {
  const { directory, cacheMib, baseBytes, signal } = about;
  const fits = fitsOnDisk(cacheMib, { baseBytes, treeBytes });
  return fits && (await isWritable(host, directory, signal)) ? directory : workDir;
}

async function isWritable(host: Host, directory: string, signal: AbortSignal): Promise<boolean> {
  const how = { root: true, timeoutMs: lookMs, signal, accept: [0, 1] };
  return (await host.exec(["test", "-w", directory], how)).code === 0;
}
