import { truncate, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { run } from "../system/run.ts";

const hint = "apt-get install qemu-utils";

/** A qcow2 file that holds only what differs from `base`, which is never written and must stay where it is. */
export async function createOverlay(
  base: { readonly file: string; readonly format: "raw" | "qcow2" },
  file: string,
): Promise<void> {
  await run(
    ["qemu-img", "create", "-q", "-f", "qcow2", "-F", base.format, "-b", resolve(base.file), "--", file],
    { hint, timeoutMs: 60_000 },
  );
}

/** An empty disk: a sparse raw file. `bytes` is a multiple of 512. */
export async function createBlank(file: string, bytes: number): Promise<void> {
  await writeFile(file, "", { flag: "wx" });
  await truncate(file, bytes);
}
