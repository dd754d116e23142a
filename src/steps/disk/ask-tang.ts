import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { checkAdvertisement, fetchAdvertisement } from "../../system/health/tang.ts";
import { defineStep } from "../step/step.ts";

/**
 * Asks a tang server for its keys before anything is written, and keeps what it said in RAM for enrolling: a server that is not
 * there, or is another one, ends the deploy while the old system is whole.
 */
export const askTang = defineStep({
  kind: "ask-tang",
  summary: "ask a tang server for its keys",
  schema: z.strictObject({ url: z.string(), thumbprint: z.string(), file: z.string().startsWith("/run/") }),
  run: async ({ url, thumbprint, file }, { signal, log }) => {
    // A run that is resumed needs no server any more.
    const before = await readFile(file, "utf8").catch(() => undefined);
    if (before !== undefined && isOf(before, thumbprint)) return log.info("its keys are known");
    const text = await fetchAdvertisement({ url, thumbprint }, signal);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, text, { mode: 0o600 });
  },
});

function isOf(text: string, thumbprint: string): boolean {
  try {
    checkAdvertisement(text, thumbprint);
    return true;
  } catch {
    return false;
  }
}
