import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { plainEnv, run } from "../system/run.ts";
import { Fail } from "../util/fail.ts";
import type { Log } from "../util/log.ts";
import type { Accelerator } from "./accelerator.ts";
import { type MachineDisk, machineFds, qemuCommand } from "./command.ts";
import { type Console, makeConsole } from "./console.ts";
import { openQmp, type Qmp } from "./qmp.ts";

/** QEMU's own start, from exec to the monitor's greeting. */
const startTimeoutMs = 30_000;
/** How long another machine may hold the lock. */
const lockSeconds = 1800;
/** Each rung of stopping: asked by the monitor, SIGTERM, SIGKILL. */
const stopTimeoutMs = 5_000;
/** Writing or reading a snapshot with all of the guest's memory. */
const snapshotTimeoutMs = 300_000;

const hint = "apt-get install qemu-system-x86 qemu-utils ovmf";

export interface MachineOptions {
  readonly name: string;
  readonly memoryMib: number;
  readonly cpus: number;
  readonly firmware: "bios" | "uefi";
  /** In boot order. */
  readonly disks: readonly MachineDisk[];
  /** TCP ports of the guest that become reachable on 127.0.0.1, see `Machine.port`. */
  readonly forwards: readonly number[];
  /** The machine's own: its console log and firmware variables. Start again with the same one to switch it on again. */
  readonly directory: string;
  readonly accelerator: Accelerator;
  readonly mac?: string;
  readonly watchdog?: boolean;
  /** A file that only one running machine may hold; another start waits for it. */
  readonly lock?: string;
  readonly log: Log;
  /** Stops the machine. */
  readonly signal?: AbortSignal;
}

/** A QEMU process. It lives on over the guest's reboots and kexec, and ends with its power-off, `stop` or our death. */
export interface Machine {
  readonly name: string;
  readonly pid: number;
  readonly console: Console;
  readonly consoleFile: string;
  /** Multiply the time bounds of real hardware by this. */
  readonly scale: number;
  readonly isRunning: boolean;
  /** The port of 127.0.0.1 behind which the guest's port is; the same for the machine's whole life. */
  port(guest: number): number;
  /** What a person types at the serial console. */
  type(text: string): void;
  /** Presses the power button, then waits for the process to end. */
  powerDown(timeoutMs: number): Promise<void>;
  /** Presses the reset button. */
  reset(): Promise<void>;
  /** Pulls the plug: what the guest has not flushed may be lost. */
  powerCut(): Promise<void>;
  /** Pulls the network cable, or plugs it in. */
  setLink(up: boolean): Promise<void>;
  /** Memory and disks under a name; every writable disk must be qcow2. */
  snapshot(name: string): Promise<void>;
  /** Back to the snapshot; open connections into the guest are stale then. */
  restore(name: string): Promise<void>;
  /** Ends the process; safe to call again. */
  stop(): Promise<void>;
}

export async function startMachine(options: MachineOptions): Promise<Machine> {
  options.signal?.throwIfAborted();
  await mkdir(options.directory, { recursive: true });
  const consoleFile = join(options.directory, "console.log");
  const uefi = options.firmware === "uefi" ? await ovmf(options.directory) : undefined;
  const shape = { ...options, accelerator: options.accelerator.name, consoleFile, ...(uefi && { uefi }) };
  const child = spawnWithUs(qemuCommand(shape), options.lock);
  const exit = watchExit(child);
  const { console, append, close } = makeConsole();
  const serial = child.stdio[machineFds.console] as Socket;
  serial.setEncoding("utf8").on("data", append);
  serial.on("error", () => {});
  void exit.ended.then((reason) => close(`${options.name}: ${reason}`));

  let qmp: Qmp | undefined;
  const stop = async () => {
    if (exit.isRunning()) await qmp?.execute("quit", {}, stopTimeoutMs).catch(() => {});
    for (const signalName of ["SIGTERM", "SIGKILL"] as const) {
      if (await within(exit.ended, stopTimeoutMs)) return;
      child.kill(signalName);
    }
    if (!(await within(exit.ended, stopTimeoutMs)))
      throw new Fail(`QEMU of ${options.name} (process ${child.pid}) cannot be killed`);
  };
  const onAbort = () => void stop().catch(() => {});
  options.signal?.addEventListener("abort", onAbort, { once: true });
  void exit.ended.then(() => options.signal?.removeEventListener("abort", onAbort));

  let ports: ReadonlyMap<number, number>;
  try {
    const boundMs = startTimeoutMs + (options.lock === undefined ? 0 : lockSeconds * 1000);
    qmp = await openQmp(child.stdio[machineFds.qmp] as Socket, boundMs);
    ports = await forwardedPorts(qmp, options.forwards);
    await qmp.execute("cont");
  } catch (error) {
    await stop();
    options.signal?.throwIfAborted();
    throw new Fail(`starting ${options.name}: ${await exit.ended}`, { hint, cause: error });
  }
  const monitor = qmp;
  const snapshots = (command: string) => humanMonitor(monitor, command, snapshotTimeoutMs);
  return {
    name: options.name,
    pid: child.pid!,
    console,
    consoleFile,
    scale: options.accelerator.scale,
    get isRunning() {
      return exit.isRunning();
    },
    port: (guest) => {
      const port = ports.get(guest);
      if (port === undefined) throw new Error(`${options.name} forwards no port ${guest}`);
      return port;
    },
    type: (text) => void serial.write(text),
    powerDown: async (timeoutMs) => {
      await monitor.execute("system_powerdown");
      if (!(await within(exit.ended, timeoutMs)))
        throw new Fail(
          `${options.name} did not power off within ${timeoutMs / 1000} s; the console's end:\n${console.tail()}`,
        );
    },
    reset: async () => void (await monitor.execute("system_reset")),
    powerCut: async () => {
      child.kill("SIGKILL");
      if (!(await within(exit.ended, stopTimeoutMs))) throw new Fail(`QEMU of ${options.name} does not die`);
    },
    setLink: async (up) => void (await monitor.execute("set_link", { name: "net0", up })),
    snapshot: (name) => snapshots(`savevm ${name}`),
    restore: (name) => snapshots(`loadvm ${name}`),
    stop,
  };
}

/** The child is killed by the kernel when we die, whatever of: setpriv asks for that, and exec keeps it. */
function spawnWithUs(argv: readonly string[], lock: string | undefined): ChildProcess {
  const alone =
    lock === undefined ? [] : ["flock", "--no-fork", "--exclusive", "--wait", String(lockSeconds), lock];
  return spawn("setpriv", ["--pdeathsig", "KILL", "--", ...alone, ...argv], {
    env: { ...plainEnv },
    stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"],
    // Not in our process group: an interrupt at the terminal is ours to handle, in order.
    detached: true,
  });
}

/** `ended` says how, and never rejects. */
function watchExit(child: ChildProcess): { ended: Promise<string>; isRunning: () => boolean } {
  let running = true;
  let stderr = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-4096);
  });
  const ended = new Promise<string>((resolve) => {
    const end = (how: string) => {
      running = false;
      resolve(stderr.trim() === "" ? how : `${how}: ${stderr.trim()}`);
    };
    child.on("error", (error) => end(`QEMU could not be started: ${error.message}`));
    child.on("close", (code, signalName) => end(`QEMU ended (${signalName ?? code})`));
  });
  return { ended, isRunning: () => running };
}

async function within(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, false);
  });
  const won = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return won;
}

/** Which host port the kernel chose for each forwarded guest port, from the monitor's table of connections. */
async function forwardedPorts(qmp: Qmp, guests: readonly number[]): Promise<ReadonlyMap<number, number>> {
  const ports = new Map<number, number>();
  const table = await qmp.execute("human-monitor-command", { "command-line": "info usernet" });
  for (const line of String(table).split("\n")) {
    const match = line.match(/TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)/);
    if (match !== null) ports.set(Number(match[2]), Number(match[1]));
  }
  for (const guest of guests)
    if (!ports.has(guest)) throw new Fail(`QEMU does not forward port ${guest}:\n${table}`);
  return ports;
}

async function humanMonitor(qmp: Qmp, command: string, timeoutMs: number): Promise<void> {
  const answer = await qmp.execute("human-monitor-command", { "command-line": command }, timeoutMs);
  if (String(answer).trim() !== "") throw new Fail(`QEMU's ${command}: ${String(answer).trim()}`);
}

/** Where distributions put OVMF: code, and an empty variable store. */
const ovmfFiles = [
  ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"],
  ["/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"],
  ["/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"],
] as const;

/** The variables are the machine's own and outlive its process; qcow2, so that a snapshot can hold them. */
async function ovmf(directory: string): Promise<{ code: string; variables: string }> {
  const found = ovmfFiles.find(([code, variables]) => existsSync(code) && existsSync(variables));
  if (found === undefined)
    throw new Fail(`no UEFI firmware for QEMU: ${ovmfFiles[0][0]} is missing`, { hint });
  const variables = join(directory, "uefi-variables.qcow2");
  if (!existsSync(variables))
    await run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "--", found[1], variables], { hint });
  return { code: found[0], variables };
}
