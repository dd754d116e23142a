import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Env } from "../../system/files/cache.ts";
import { writeWhole } from "../../system/files/write-whole.ts";
import { parsedJson, sha256 } from "../../util/digest.ts";
import { stateDirectory } from "./known-deploys.ts";

const Tried = z.strictObject({
  hostname: z.string(),
  made: z.string(),
  /** When it was opened the last time, in ISO 8601. */
  tried: z.string(),
});
type Tried = z.output<typeof Tried>;

/** Notes that an escrow, by its bytes, was opened; gives when that was done before. */
export async function noteEscrowTried(
  env: Env,
  bytes: Uint8Array,
  tried: Tried,
): Promise<string | undefined> {
  const directory = join(stateDirectory(env), "escrows");
  const file = join(directory, `${sha256(bytes).slice(0, 16)}.json`);
  const before = Tried.safeParse(parsedJson(await readFile(file, "utf8").catch(() => "")));
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeWhole(file, `${JSON.stringify(tried, null, 2)}\n`, 0o600);
  return before.data?.tried;
}
