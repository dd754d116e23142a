import { copyFileSync, linkSync } from "node:fs";
import { run } from "../../src/system/run/run.ts";

/** The same file at another place: a hard link, or a copy where the places are on two filesystems (a /tmp in RAM). */
export function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

/** The same of whole directories. */
export async function linkOrCopyAll(from: readonly string[], into: string): Promise<void> {
  await run(["cp", "--archive", "--link", "--", ...from, into]).catch(() =>
    run(["cp", "--archive", "--", ...from, into], { timeoutMs: 300_000 }),
  );
}
