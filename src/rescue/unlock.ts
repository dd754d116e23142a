import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { MediumUnlock } from "../schema/base/medium.ts";
import { openByTang } from "../secrets/tang.ts";
import { openByTpm } from "../secrets/tpm2.ts";
import { exchangeAt } from "../system/health/tang.ts";
import { Fail, messageOf } from "../util/fail.ts";
import { Secret } from "../util/secret.ts";
import type { Consoles } from "./consoles.ts";

interface Waits {
  readonly pauseMs: number;
  readonly serverMs: number;
}

/** The network may have come up a moment ago. */
const tries = 3;
const pauseMs = 3_000;
/** For each server, with all tries. */
const serverMs = 30_000;
/** More than any answer of a TPM. */
const answerBytes = 4096;

/** The identity that was made for the medium, by the first of the ways that opens it; undefined where none does. Each says why. */
export async function unlock(
  ways: readonly MediumUnlock[],
  consoles: Pick<Consoles, "print">,
  machine: Waits & { readonly tpm: string } = { pauseMs, serverMs, tpm: "/dev/tpmrm0" },
): Promise<Secret | undefined> {
  for (const way of ways) {
    const name = way.type === "tang" ? `The tang server ${way.url}` : `The machine's TPM`;
    try {
      if (way.type === "tang")
        consoles.print(`Asking the tang server ${way.url}, at most ${machine.serverMs / 1000} s`);
      const opened = way.type === "tang" ? await byTang(way.sealed, machine) : await byTpm(way, machine.tpm);
      consoles.print(`${name} opens the secrets.`);
      return new Secret("identity", opened);
    } catch (error) {
      consoles.print(`WARN  ${messageOf(error)}`);
      if (error instanceof Fail && error.hint !== undefined) consoles.print(`      ${error.hint}`);
      if (!(error instanceof Fail)) console.error(error);
    }
  }
  return undefined;
}

async function byTang(sealed: string, { pauseMs, serverMs }: Waits): Promise<Uint8Array> {
  const bound = AbortSignal.timeout(serverMs);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openByTang(sealed, (server, point) => exchangeAt(server, point, bound));
    } catch (error) {
      if (attempt === tries || bound.aborted || !/does not answer/.test(messageOf(error))) throw error;
      await sleep(pauseMs);
    }
  }
}

/** The kernel bounds each command, and forgets what is in the TPM for us once the file is closed. */
async function byTpm(
  { host, sealed }: Extract<MediumUnlock, { type: "tpm2" }>,
  device: string,
): Promise<Uint8Array> {
  const file = await open(device, "r+").catch((error: unknown) => {
    throw new Fail(`the machine shows no TPM 2.0, and the medium was made for that of ${host}`, {
      cause: error,
      hint: "is it switched on in the firmware?",
    });
  });
  try {
    return await openByTpm(sealed, async (command) => {
      await file.write(command);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(answerBytes), 0, answerBytes, null);
      return buffer.subarray(0, bytesRead);
    });
  } finally {
    await file.close();
  }
}
