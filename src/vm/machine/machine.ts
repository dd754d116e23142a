import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Fail } from "../../util/fail.ts";
import { within } from "../../util/within.ts";
import { type Console, makeConsole } from "../shell/console.ts";
import { makeShell, type Shell } from "../shell/shell.ts";
import { type SshLogin, type SshShell, sshShell } from "../shell/ssh-shell.ts";
import { type Accelerator, usualCpus } from "./accelerator.ts";
import type { MachineShape, NicShape } from "./command.ts";
import { startTpm, uefiFiles } from "./firmware.ts";
import { makeForwards } from "./forwards.ts";
import { openGuestShell, shellCredentials } from "./guest-shell.ts";
import { type DiskFault, type Hardware, makeHardware, type Part } from "./hardware.ts";
import { keysOf } from "./keys.ts";
import {
  balloon,
  cardNames,
  checkName,
  credentialStrings,
  type MachineDisk,
  type MachineNic,
  type MachineOptions,
  macOf,
  makeDisks,
} from "./machine-parts.ts";
import { type Qemu, startQemu } from "./qemu.ts";
import { plugIn } from "./wires.ts";

/** On ordinary hardware; an emulated machine gets more, see `Machine.scale`. */
const bootSeconds = 60;
const shutdownSeconds = 30;
/** Writing or reading a snapshot with all of the guest's memory. */
const snapshotTimeoutMs = 300_000;
const keyMs = 30;

/**
 * A computer: switched off at first, with disks that outlive its power. It lives on over the guest's reboots and kexec. Its
 * commands are run as root by a shell of our own (see guest-shell.ts); `ssh` gives others.
 */
export interface Machine extends Shell, Hardware {
  readonly name: string;
  /** Its files: console.log, disks, firmware variables. */
  readonly directory: string;
  /** Time bounds of ordinary hardware are multiplied by this. */
  readonly scale: number;
  readonly isRunning: boolean;
  /** Process id of the QEMU that runs it. */
  readonly pid: number | undefined;
  /** What it said on its serial port in all its lives. */
  readonly console: Console;
  /** Switches it on; done when the processor runs. */
  start(): Promise<void>;
  /** Switches it on if it is off, and waits until systemd has started all there is to start. Gives the boot's id. */
  boot(options?: { readonly withinSeconds?: number; readonly notBoot?: string }): Promise<string>;
  /** Asks systemd to restart, and waits until it is up again. Gives the boot's id. */
  reboot(options?: { readonly withinSeconds?: number }): Promise<string>;
  /** Presses the power button, and waits until it is off. */
  shutdown(options?: { readonly withinSeconds?: number }): Promise<void>;
  /** Pulls the plug: what the guest has not flushed may be lost. */
  crash(): Promise<void>;
  /** Presses the reset button. */
  reset(): Promise<void>;
  /** Switches it off by whatever works; safe to call again. */
  stop(): Promise<void>;
  /** Types at the serial console; "\n" is Enter. */
  type(text: string): void;
  /** Until the serial console shows it. `after`: a mark of the console, to look only behind it. */
  waitForConsole(
    pattern: RegExp,
    options?: { readonly withinSeconds?: number; readonly after?: number },
  ): Promise<RegExpMatchArray>;
  /** Types on the keyboard: text, or keys by QEMU's names: ["ctrl-alt-delete"], ["esc", "ret"]. */
  sendKeys(keys: string | readonly string[]): Promise<void>;
  /** The screen as a PNG file. */
  screenshot(file: string): Promise<void>;
  /** The port of 127.0.0.1 behind which the guest's TCP port is. */
  forward(port: number): Promise<number>;
  /** Memory and disks under a name; nobody may be in the middle of a command. */
  snapshot(name: string): Promise<void>;
  /** Back to the snapshot, running, with the devices of then; connections into the guest are gone, forwarded ports stay. */
  restore(name: string): Promise<void>;
  /** Pulls the plug as soon as the console shows it: resolves when that is done. */
  cutPowerWhen(pattern: RegExp, options?: { readonly withinSeconds?: number }): Promise<void>;
  /** Off: the memory of the next start. Running: takes memory from the guest, or gives it back, up to that of its start. */
  setMemory(mib: number): Promise<void>;
  /** Commands by SSH, as whoever the login is. */
  ssh(login: SshLogin): SshShell;
  /** A command of QEMU's monitor. */
  qmp(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
}

export type { DiskFault, MachineDisk, MachineNic, MachineOptions, Part };

/** A machine whose files are in `directory`. Made by a lab, which also ends it. */
export async function makeMachine(
  options: MachineOptions,
  place: {
    readonly directory: string;
    readonly accelerator: Accelerator;
    /** Waits until the computer has this many MiB to give. */
    readonly room: (mib: number) => Promise<void>;
    readonly signal?: AbortSignal;
  },
): Promise<Machine> {
  const { directory, accelerator } = place;
  const { name } = options;
  const scale = accelerator.scale;
  checkName(name);
  await mkdir(directory, { recursive: true });
  const disks = await makeDisks(options.disks, directory);
  const nics = (options.nics ?? [{ network: "internet" as const }]).map((nic, index) => ({
    ...nic,
    mac: nic.mac ?? macOf(name, index),
  }));
  const shapes = nics.map(
    ({ network, mac, segments }): NicShape => ({
      kind: network === "internet" ? "user" : "switch",
      mac,
      ...(segments && { segments }),
    }),
  );
  const { console, append, close, reopen, rewind } = makeConsole();
  const guest = openGuestShell(name, scale);
  const snapshots = new Map<string, { readonly boot: string | undefined; readonly shown: string }>();
  let memoryMib = options.memoryMib ?? 1024;
  let qemu: Qemu | undefined;

  const running = (): Qemu => {
    if (qemu?.isRunning) return qemu;
    throw new Fail(`${name} is switched off`, { hint: "`await machine.start()` or `boot()` switches it on" });
  };
  const monitor = async (command: string, timeoutMs?: number): Promise<string> => {
    const said = await running().qmp.execute("human-monitor-command", { "command-line": command }, timeoutMs);
    return String(said).trim();
  };
  const quietly = async (command: string, timeoutMs?: number) => {
    const said = await monitor(command, timeoutMs);
    if (said !== "") throw new Fail(`${name}: ${command.split(" ")[0]}: ${said}`);
  };
  const gone = async (timeoutMs: number, what: string) => {
    if (await within(running().ended, timeoutMs)) return;
    throw new Fail(`${name} ${what} within ${timeoutMs / 1000} s; the console's end:\n${console.tail()}`);
  };

  const forwards = makeForwards(name, shapes, monitor);
  const launch = async (snapshotName?: string) => {
    const firmware = options.firmware ?? "bios";
    const uefi =
      firmware === "bios" ? undefined : await uefiFiles(firmware, directory, options.uefiVariables);
    await place.room(memoryMib);
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
        ...(options.shell === false ? [] : shellCredentials()),
        ...credentialStrings({ ...(options.shell === false ? {} : cardNames(nics)), ...options.credentials }),
      ],
      ...(uefi && { uefi }),
      ...(tpm && { tpmSocket: tpm.socket }),
      ...(options.watchdog && { watchdog: true }),
    };
    const started = await startQemu(shape, place.signal).catch((error: unknown) => {
      tpm?.stop();
      throw error;
    });
    reopen();
    guest.attach(started.shell);
    started.serial.setEncoding("utf8").on("data", append);
    plugIn(name, nics, shapes, started);
    void started.ended.then((how) => {
      tpm?.stop();
      if (qemu !== started) return;
      close(`${name}: ${how}`);
      guest.close(`${name} is switched off: ${how}`);
    });
    started.qmp.onEvent((event) => {
      if (event === "RESET") guest.lost();
    });
    qemu = started;
    try {
      if (snapshotName !== undefined) await quietly(`loadvm ${snapshotName}`, snapshotTimeoutMs);
      await forwards.renew();
    } catch (error) {
      await started.stop();
      throw error;
    }
    await started.qmp.execute("cont");
  };

  const machine: Machine = {
    ...makeShell(name, scale, (script, how) => guest.run(script, how)),
    ...makeHardware({ name, scale, disks, nics, running, monitor }),
    name,
    directory,
    scale,
    console,
    get isRunning() {
      return qemu?.isRunning === true;
    },
    get pid() {
      return qemu?.isRunning ? qemu.pid : undefined;
    },
    start: async () => {
      if (!machine.isRunning) await launch();
    },
    boot: async ({ withinSeconds = bootSeconds, notBoot } = {}) => {
      const boundMs = withinSeconds * scale * 1000;
      const deadline = Date.now() + boundMs;
      await machine.start();
      try {
        const boot = await guest.ready(boundMs, notBoot);
        // Its exit code says whether a unit has failed, which is for the caller to ask.
        const left = Math.max(1, (deadline - Date.now()) / 1000 / scale);
        await machine.execute("systemctl is-system-running --wait", { withinSeconds: left });
        return boot;
      } catch (error) {
        if (!(error instanceof Fail)) throw error;
        throw new Fail(`booting: ${error.message}\nthe console's end:\n${console.tail()}`, {
          cause: error,
          ...(error.hint === undefined ? {} : { hint: error.hint }),
        });
      }
    },
    reboot: async (how = {}) => {
      const notBoot = guest.boot;
      if (notBoot === undefined) throw new Fail(`${name} is not up, so nothing can be asked to restart`);
      // In a moment: systemd would end the shell before it has answered.
      await machine.succeed("(sleep 0.5; systemctl reboot) >/dev/null 2>&1 &");
      return await machine.boot({ ...how, notBoot });
    },
    shutdown: async ({ withinSeconds = shutdownSeconds } = {}) => {
      await running().qmp.execute("system_powerdown");
      await gone(withinSeconds * scale * 1000, "did not power off");
    },
    crash: async () => await running().kill(),
    reset: async () => {
      const { qmp } = running();
      guest.lost();
      await qmp.execute("system_reset");
    },
    stop: async () => await qemu?.stop(),
    type: (text) => void running().serial.write(text),
    waitForConsole: async (pattern, { withinSeconds = bootSeconds, after } = {}) =>
      console.waitFor(pattern, withinSeconds * scale * 1000, after),
    sendKeys: async (keys) => {
      for (const chord of keysOf(keys)) {
        const codes = chord.map((data) => ({ type: "qcode", data }));
        await running().qmp.execute("send-key", { keys: codes, "hold-time": keyMs });
      }
    },
    screenshot: async (file) =>
      void (await running().qmp.execute("screendump", { filename: file, format: "png" })),
    forward: (port) => forwards.to(port),
    snapshot: async (snapshotName) => {
      await quietly(`savevm ${snapshotName}`, snapshotTimeoutMs);
      snapshots.set(snapshotName, { boot: guest.boot, shown: console.text });
    },
    restore: async (snapshotName) => {
      const snapshot = snapshots.get(snapshotName);
      if (snapshot === undefined) throw new Fail(`${name} has no snapshot ${snapshotName}`);
      // In a process of its own: an old one does not turn its processors' clocks back, and may lack devices of then.
      await qemu?.kill();
      rewind(snapshot.shown);
      await launch(snapshotName);
      guest.restored(snapshot.boot);
    },
    cutPowerWhen: async (pattern, { withinSeconds = bootSeconds } = {}) => {
      await console.waitFor(pattern, withinSeconds * scale * 1000, console.mark());
      await running().kill();
    },
    setMemory: async (mib) => {
      if (!Number.isInteger(mib) || mib < 64) throw new Fail(`${mib} MiB: at least 64, whole, are accepted`);
      if (!machine.isRunning) {
        memoryMib = mib;
        return;
      }
      if (mib > memoryMib)
        throw new Fail(`${name} was started with ${memoryMib} MiB and cannot get ${mib} while it runs`);
      await balloon(running(), mib, name, scale);
    },
    ssh: (login) => sshShell(machine, login),
    qmp: async (command, args) => running().qmp.execute(command, args),
  };
  return machine;
}
