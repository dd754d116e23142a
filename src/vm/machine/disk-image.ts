import { resolve } from "node:path";
import { run } from "../../system/run/run.ts";
import { installHint } from "../../tables/distribution.ts";

const hint = installHint("qemu-utils");

/**
 * A qcow2 file that holds only what differs from `base`, which is never written and must stay where it is. It is at least
 * `bytes` large.
 */
export async function createOverlay(
  base: { readonly file: string; readonly format: "raw" | "qcow2" },
  file: string,
  bytes = 0,
): Promise<void> {
  await run(
    ["qemu-img", "create", "-q", "-f", "qcow2", "-F", base.format, "-b", resolve(base.file), "--", file],
    { hint, timeoutMs: 60_000 },
  );
  const info = await run(["qemu-img", "info", "--output=json", "--", file], { hint, timeoutMs: 60_000 });
  const { "virtual-size": size } = JSON.parse(info.stdout) as { "virtual-size": number };
  if (size < bytes) await run(["qemu-img", "resize", "-q", "--", file, String(bytes)], { hint });
}

/** An empty disk that takes only the room of what is written to it. `bytes` is a multiple of 512. */
export async function createBlank(file: string, bytes: number): Promise<void> {
  await run(["qemu-img", "create", "-q", "-f", "qcow2", "--", file, String(bytes)], {
    hint,
    timeoutMs: 60_000,
  });
}
