import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Env } from "../../system/files/cache.ts";
import { writeWhole } from "../../system/files/write-whole.ts";
import { parsedJson, sha256 } from "../../util/digest.ts";
import { stateDirectory } from "./known-deploys.ts";

const Noted = z.strictObject({
  host: z.string(),
  /** Of uploads to it. */
  bytesPerSecond: z.number().positive().optional(),
  /** By where the tree was made. */
  downtimeSeconds: z.record(z.string(), z.number()).optional(),
});
type Noted = z.output<typeof Noted>;

/** What earlier deploys have shown of a host and the line to it. */
export type Measured = Omit<Noted, "host">;

/** The same as it was noted; undefined where there was no deploy yet. */
export async function measuredBefore(env: Env, host: string): Promise<Measured | undefined> {
  return Noted.safeParse(parsedJson(await readFile(fileOf(env, host), "utf8").catch(() => ""))).data;
}

/** Adds to it what a deploy has shown. A deploy does not depend on it. */
export async function noteMeasured(env: Env, host: string, now: Measured): Promise<void> {
  const before = await measuredBefore(env, host);
  const file = fileOf(env, host);
  const all: Noted = {
    ...{ ...before, ...now, host },
    downtimeSeconds: { ...before?.downtimeSeconds, ...now.downtimeSeconds },
  };
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeWhole(file, `${JSON.stringify(all, null, 2)}\n`, 0o600);
  } catch {
    // The next deploy has no number to show then.
  }
}

function fileOf(env: Env, host: string): string {
  return join(stateDirectory(env), "measured", `${sha256(host).slice(0, 16)}.json`);
}
