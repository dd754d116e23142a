import { readFile } from "node:fs/promises";
import { fixedTimeEnv } from "../../../src/disks/filesystem/mkfs.ts";
import type { StepContext } from "../../../src/steps/step/step.ts";

/** A file of a FAT filesystem in an image; undefined when it is not there. */
export async function readFromVfat(
  context: Pick<StepContext, "tool">,
  image: string,
  offsetBytes: number,
  path: string,
  scratch: string,
): Promise<Buffer | undefined> {
  const argv = ["mcopy", "-n", "-o", "-i", `${image}@@${offsetBytes}`, `::${path}`, scratch];
  const result = await context.tool(argv, { env: fixedTimeEnv(1), accept: [0, 1] });
  return result.code === 0 ? readFile(scratch) : undefined;
}
