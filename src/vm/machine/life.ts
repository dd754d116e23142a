import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Fail } from "../../util/fail.ts";
import { settlesWithin } from "../../util/promises.ts";
import { type Console, makeConsole } from "../shell/console.ts";
import { type Accelerator, usualCpus } from "./accelerator.ts";
import type { DiskShape, MachineShape, NicShape } from "./command.ts";
import { startTpm, uefiFiles } from "./firmware.ts";
import { makeForwards } from "./forwards.ts";
import { openGuestShell, shellCredentials } from "./guest-shell.ts";
import {
  cardNames,
  checkName,
  credentialStrings,
  type MachineNic,
  type MachineOptions,
  macOf,
  makeDisks,
} from "./machine-parts.ts";
import { type Qemu, startQemu } from "./qemu.ts";
import { plugIn } from "./wires.ts";

/** Writing or reading a snapshot with all of the guest's memory. */
const snapshotTimeoutMs = 300_000;

/** Where a machine has its files, and what the computer gives it. */
export interface MachinePlace {
  readonly directory: string;
  readonly accelerator: Accelerator;
  /** Waits until the computer has this many MiB to give. */
  readonly room: (mib: number) => Promise<void>;
  readonly signal?: AbortSignal;
}

/** A machine's parts, and the QEMU processes that run it, each until its power goes. */
export interface Life {
  readonly name: string;
  readonly scale: number;
  readonly disks: readonly DiskShape[];
  readonly nics: readonly (MachineNic & { readonly mac: string })[];
  readonly console: Console;
  readonly rewind: (shown: string) => void;
  readonly guest: ReturnType<typeof openGuestShell>;
  /** MiB of the next start. */
  memoryMib: number;
  /** The process; fails where the machine is off. */
  readonly running: () => Qemu;
  /** The last process, which may have ended; undefined before the first. */
  readonly latest: () => Qemu | undefined;
  /** A command that answers nothing when all is well. */
  readonly quietly: (command: string) => Promise<void>;
  /** Waits until the process has ended by itself; fails after the bound. */
  readonly gone: (timeoutMs: number, what: string) => Promise<void>;
  /** Switches it on, in the snapshot of that name if one is given. */
  readonly launch: (snapshot?: string) => Promise<void>;
  readonly forward: (port: number) => Promise<number>;
}

export async function makeLife(options: MachineOptions, place: MachinePlace): Promise<Life> {
  const { name } = options;
  checkName(name);
  await mkdir(place.directory, { recursive: true });
  const disks = await makeDisks(options.disks, place.directory);
  const nics = (options.nics ?? [{ network: "internet" as const }]).map((nic, index) => ({
    ...nic,
    mac: nic.mac ?? macOf(name, index),
  }));
  const shapes = nics.map(nicShape);
  const { console, append, close, reopen, rewind } = makeConsole();
  const guest = openGuestShell(name, place.accelerator.scale);
  let qemu: Qemu | undefined;
  const running = (): Qemu => {
    if (qemu?.isRunning) return qemu;
    throw new Fail(`${name} is switched off`, { hint: "`await machine.start()` or `boot()` switches it on" });
  };
  const monitor = async (command: string, timeoutMs?: number): Promise<string> => {
    const said = await running().qmp.execute("human-monitor-command", { "command-line": command }, timeoutMs);
    return String(said).trim();
  };
  const quietly = async (command: string) => {
    const said = await monitor(command, snapshotTimeoutMs);
    if (said !== "") throw new Fail(`${name}: ${command.split(" ")[0]}: ${said}`);
  };
  const forwards = makeForwards(name, shapes, monitor);
  /** Connects a process that has just started with what is kept over all of them. */
  const connect = (started: Qemu, atEnd: () => void): void => {
    reopen();
    guest.attach(started.shell);
    started.serial.setEncoding("utf8").on("data", append);
    plugIn(name, nics, shapes, started);
    void started.ended.then((how) => {
      atEnd();
      if (qemu !== started) return;
      close(`${name}: ${how}`);
      guest.close(`${name} is switched off: ${how}`);
    });
    started.qmp.onEvent((event) => {
      if (event === "RESET") guest.lost();
    });
    qemu = started;
  };
  const life: Life = {
    ...{ name, scale: place.accelerator.scale, disks, nics, console, rewind, guest, running, quietly },
    memoryMib: options.memoryMib ?? 1024,
    latest: () => qemu,
    gone: async (timeoutMs, what) => {
      if (await settlesWithin(running().ended, timeoutMs)) return;
      throw new Fail(`${name} ${what} within ${timeoutMs / 1000} s; the console's end:\n${console.tail()}`);
    },
    launch: async (snapshot) => {
      const { started, atEnd } = await startProcess(options, place, life, shapes);
      connect(started, atEnd);
      try {
        if (snapshot !== undefined) await quietly(`loadvm ${snapshot}`);
        await forwards.renew();
      } catch (error) {
        await started.stop();
        throw error;
      }
      await started.qmp.execute("cont");
    },
    forward: (port) => forwards.to(port),
  };
  return life;
}

function nicShape({ network, mac, segments }: MachineNic & { readonly mac: string }): NicShape {
  return { kind: network === "internet" ? "user" : "switch", mac, ...(segments && { segments }) };
}

async function startProcess(
  options: MachineOptions,
  { directory, accelerator, room, signal }: MachinePlace,
  { name, memoryMib, disks, nics }: Life,
  shapes: readonly NicShape[],
): Promise<{ started: Qemu; atEnd: () => void }> {
  const { firmware = "bios", shell = true } = options;
  const uefi = firmware === "bios" ? undefined : await uefiFiles(firmware, directory, options.uefiVariables);
  await room(memoryMib);
  const tpm = options.tpm ? await startTpm(directory) : undefined;
  const shape: MachineShape = {
    name,
    memoryMib,
    cpus: options.cpus ?? usualCpus(accelerator, 2),
    accelerator: accelerator.name,
    disks,
    nics: shapes,
    consoleFile: join(directory, "console.log"),
    oemStrings: [
      ...(shell ? shellCredentials() : []),
      ...credentialStrings({ ...(shell ? cardNames(nics) : {}), ...options.credentials }),
    ],
    ...(uefi && { uefi }),
    ...(tpm && { tpmSocket: tpm.socket }),
    ...(options.watchdog && { watchdog: true }),
  };
  const started = await startQemu(shape, signal).catch((error: unknown) => {
    tpm?.stop();
    throw error;
  });
  return { started, atEnd: () => tpm?.stop() };
}
