import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { plainEnv, run } from "../../system/run/run.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { installHint } from "../../tables/distribution.ts";
import { Fail } from "../../util/fail.ts";

/** swtpm's own start, until its socket is there. */
const tpmStartMs = 10_000;

/**
 * "secure-boot": UEFI that starts only what Microsoft's keys, and those of Debian's shim, vouch for. "setup-mode": the same firmware
 * before it knows any key: it starts everything, and takes the keys that it is given first.
 */
export type Firmware = "bios" | "uefi" | "secure-boot" | "setup-mode";

/**
 * Firmware code, and variables that are the machine's own and outlive its process; qcow2, so that a snapshot can hold
 * them. `variables`: a raw store to begin with instead of the distribution's, as one with keys of one's own.
 */
export async function uefiFiles(
  firmware: Exclude<Firmware, "bios">,
  directory: string,
  variables?: string,
): Promise<{ code: string; variables: string; secure: boolean }> {
  const known = onlyArchitecture.qemu.uefi[firmware];
  const found = known.find(([code, store]) => existsSync(code) && existsSync(variables ?? store));
  if (found === undefined)
    throw new Fail(`no ${firmware} firmware for QEMU: ${known[0]?.[0]} is missing`, {
      hint: installHint(onlyArchitecture.packages.firmware),
    });
  const own = join(directory, "uefi-variables.qcow2");
  if (!existsSync(own))
    await run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "--", variables ?? found[1], own], {
      hint: installHint("qemu-utils"),
    });
  return { code: found[0], variables: own, secure: firmware !== "uefi" };
}

/** A TPM 2.0 in software; its state is the machine's own. It ends with the machine's process, or with us. */
export async function startTpm(directory: string): Promise<{ socket: string; stop: () => void }> {
  const state = join(directory, "tpm");
  await mkdir(state, { recursive: true });
  const socket = join(directory, "tpm.sock");
  await rm(socket, { force: true });
  const child: ChildProcess = spawn(
    "setpriv",
    [
      ...["--pdeathsig", "KILL", "--", "swtpm", "socket", "--tpm2", "--terminate"],
      ...["--tpmstate", `dir=${state}`, "--ctrl", `type=unixio,path=${socket}`, "--flags", "startup-clear"],
    ],
    { env: { ...plainEnv }, stdio: ["ignore", "ignore", "pipe"], detached: true },
  );
  let ended: string | undefined;
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-1024);
  });
  child.on("error", (error) => {
    ended = error.message;
  });
  child.on("close", (code) => {
    ended ??= `it ended with ${code}: ${stderr.trim()}`;
  });
  for (const until = Date.now() + tpmStartMs; !existsSync(socket); await sleep(20)) {
    if (ended === undefined && Date.now() < until) continue;
    child.kill("SIGKILL");
    throw new Fail(`the software TPM did not start: ${ended ?? "it gave no socket"}`, {
      hint: installHint("swtpm"),
    });
  }
  return { socket, stop: () => void child.kill("SIGKILL") };
}
