import { Fail } from "../../util/fail.ts";
import type { Console } from "../shell/console.ts";
import { makeShell, type Shell } from "../shell/shell.ts";
import { type SshLogin, type SshShell, sshShell } from "../shell/ssh-shell.ts";
import { type DiskFault, type Hardware, makeHardware, type Part } from "./hardware.ts";
import { keysOf } from "./keys.ts";
import { type Life, type MachinePlace, makeLife } from "./life.ts";
import { balloon, type MachineDisk, type MachineNic, type MachineOptions } from "./machine-parts.ts";

/** On ordinary hardware; an emulated machine gets more, see `Machine.scale`. */
const bootSeconds = 60;
const shutdownSeconds = 30;
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
  /** Switches it off by any means; safe to call again. */
  stop(): Promise<void>;
  /** Types at the serial console; "\n" is Enter. */
  type(text: string): void;
  /** Until the serial console shows it. `after`: a mark of the console, to look only after it. */
  waitForConsole(
    pattern: RegExp,
    options?: { readonly withinSeconds?: number; readonly after?: number },
  ): Promise<RegExpMatchArray>;
  /** Types on the keyboard: text, or keys by QEMU's names: ["ctrl-alt-delete"], ["esc", "ret"]. */
  sendKeys(keys: string | readonly string[]): Promise<void>;
  /** The screen as a PNG file. */
  screenshot(file: string): Promise<void>;
  /** The port of 127.0.0.1 that leads to the guest's TCP port. */
  forward(port: number): Promise<number>;
  /** Memory and disks under a name; no command may be running. */
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
export async function makeMachine(options: MachineOptions, place: MachinePlace): Promise<Machine> {
  const life = await makeLife(options, place);
  const { name, scale, console, guest, running } = life;
  const isRunning = () => life.latest()?.isRunning === true;
  const shell = makeShell(name, scale, (script, how) => guest.run(script, how));
  const machine: Machine = {
    ...shell,
    ...makeHardware(life),
    ...powerOf(life, shell, isRunning),
    ...consoleOf(life),
    ...memoryOf(life, isRunning),
    name,
    directory: place.directory,
    scale,
    console,
    get isRunning() {
      return isRunning();
    },
    get pid() {
      return isRunning() ? running().pid : undefined;
    },
    forward: life.forward,
    ssh: (login) => sshShell(machine, login),
    qmp: async (command, args) => running().qmp.execute(command, args),
  };
  return machine;
}

type Power = "start" | "boot" | "reboot" | "shutdown" | "crash" | "reset" | "stop" | "cutPowerWhen";

function powerOf(life: Life, shell: Shell, isRunning: () => boolean): Pick<Machine, Power> {
  const { name, scale, console, guest, running } = life;
  const power: Pick<Machine, Power> = {
    start: async () => {
      if (!isRunning()) await life.launch();
    },
    boot: async ({ withinSeconds = bootSeconds, notBoot } = {}) => {
      const boundMs = withinSeconds * scale * 1000;
      const deadline = Date.now() + boundMs;
      await power.start();
      try {
        const boot = await guest.ready(boundMs, notBoot);
        // Its exit code says whether a unit has failed, which is for the caller to ask.
        const left = Math.max(1, (deadline - Date.now()) / 1000 / scale);
        await shell.execute("systemctl is-system-running --wait", { withinSeconds: left });
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
      await shell.succeed("(sleep 0.5; systemctl reboot) >/dev/null 2>&1 &");
      return await power.boot({ ...how, notBoot });
    },
    shutdown: async ({ withinSeconds = shutdownSeconds } = {}) => {
      await running().qmp.execute("system_powerdown");
      await life.gone(withinSeconds * scale * 1000, "did not power off");
    },
    crash: async () => await running().kill(),
    reset: async () => {
      const { qmp } = running();
      guest.lost();
      await qmp.execute("system_reset");
    },
    stop: async () => await life.latest()?.stop(),
    cutPowerWhen: async (pattern, { withinSeconds = bootSeconds } = {}) => {
      await console.waitFor(pattern, withinSeconds * scale * 1000, console.mark());
      await running().kill();
    },
  };
  return power;
}

/** What a person in front of it sees and types. */
function consoleOf({
  console,
  scale,
  running,
}: Life): Pick<Machine, "type" | "waitForConsole" | "sendKeys" | "screenshot"> {
  return {
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
  };
}

function memoryOf(life: Life, isRunning: () => boolean): Pick<Machine, "snapshot" | "restore" | "setMemory"> {
  const { name, scale, console, guest } = life;
  const snapshots = new Map<string, { readonly boot: string | undefined; readonly shown: string }>();
  return {
    snapshot: async (snapshotName) => {
      await life.quietly(`savevm ${snapshotName}`);
      snapshots.set(snapshotName, { boot: guest.boot, shown: console.text });
    },
    restore: async (snapshotName) => {
      const snapshot = snapshots.get(snapshotName);
      if (snapshot === undefined) throw new Fail(`${name} has no snapshot ${snapshotName}`);
      // In a process of its own: an old one does not turn its processors' clocks back, and may lack devices of then.
      await life.latest()?.kill();
      life.rewind(snapshot.shown);
      await life.launch(snapshotName);
      guest.restored(snapshot.boot);
    },
    setMemory: async (mib) => {
      if (!Number.isInteger(mib) || mib < 64) throw new Fail(`${mib} MiB: at least 64, whole, are accepted`);
      if (!isRunning()) {
        life.memoryMib = mib;
        return;
      }
      if (mib > life.memoryMib)
        throw new Fail(`${name} was started with ${life.memoryMib} MiB and cannot get ${mib} while it runs`);
      await balloon(life.running(), mib, name, scale);
    },
  };
}
