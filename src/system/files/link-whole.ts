import { copyFile, link, mkdir, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Puts a file that is never changed in another place too, whole or not at all: as a link where it can be one, so that it costs its space once. */
export async function linkWhole(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  const part = `${to}.${process.pid}.part`;
  try {
    await link(from, part).catch(() => copyFile(from, part));
    await rename(part, to);
  } finally {
    await rm(part, { force: true });
  }
}
