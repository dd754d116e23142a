import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { platform } from "node:process";
import { plainEnv } from "../../system/run/run.ts";
import { Fail } from "../../util/fail.ts";
import { settlesWithin } from "../../util/promises.ts";
import { isWired } from "../network/segment.ts";
import { qemuHint } from "./accelerator.ts";
import { type MachineShape, machineFds, qemuCommand, uplinksOf } from "./command.ts";
import { openQmp, type Qmp } from "./qmp.ts";

/** QEMU's own start, from exec to the monitor's greeting. */
const startTimeoutMs = 30_000;
/** Each rung of stopping: asked by the monitor, SIGTERM, SIGKILL. */
const stopTimeoutMs = 5_000;

/** A QEMU process, stopped before the guest's first instruction: send `cont` to let it run. */
export interface Qemu {
  readonly pid: number;
  readonly qmp: Qmp;
  readonly serial: Socket;
  readonly shell: Socket;
  /** The switch's end of each card's cable; undefined for a card on QEMU's own network. */
  readonly nics: readonly (Socket | undefined)[];
  /** Our end of each uplink's cable, in the order of `uplinksOf`. */
  readonly uplinks: readonly Socket[];
  readonly isRunning: boolean;
  /** How it ended; never rejects. */
  readonly ended: Promise<string>;
  /** Ends it without a chance to flush. */
  kill(): Promise<void>;
  /** Ends it by any means; safe to call again. */
  stop(): Promise<void>;
}

export async function startQemu(shape: MachineShape, signal?: AbortSignal): Promise<Qemu> {
  signal?.throwIfAborted();
  const firstUplink = machineFds.firstNic + shape.nics.length;
  const uplinks = uplinksOf(shape.nics);
  const child = spawnWithUs(qemuCommand(shape), firstUplink + uplinks.length);
  const exit = watchExit(child);
  const socketAt = (fd: number) => child.stdio[fd] as Socket;
  let qmp: Qmp | undefined;
  const stop = async () => {
    if (exit.isRunning()) await qmp?.execute("quit", {}, stopTimeoutMs).catch(() => {});
    for (const signalName of ["SIGTERM", "SIGKILL"] as const) {
      if (await settlesWithin(exit.ended, stopTimeoutMs)) return;
      child.kill(signalName);
    }
    if (!(await settlesWithin(exit.ended, stopTimeoutMs)))
      throw new Fail(`QEMU of ${shape.name} (process ${child.pid}) cannot be killed`);
  };
  const onAbort = () => void stop().catch(() => {});
  signal?.addEventListener("abort", onAbort, { once: true });
  void exit.ended.then(() => signal?.removeEventListener("abort", onAbort));
  for (let fd = machineFds.console; fd < child.stdio.length; fd += 1) socketAt(fd).on("error", () => {});
  try {
    qmp = await openQmp(socketAt(machineFds.qmp), startTimeoutMs);
  } catch (error) {
    await stop();
    signal?.throwIfAborted();
    throw new Fail(`starting ${shape.name}: ${await exit.ended}`, { hint: qemuHint, cause: error });
  }
  return {
    pid: child.pid!,
    qmp,
    serial: socketAt(machineFds.console),
    shell: socketAt(machineFds.shell),
    nics: shape.nics.map((nic, index) =>
      nic.kind === "switch" || isWired(nic.segments ?? [])
        ? socketAt(machineFds.firstNic + index)
        : undefined,
    ),
    uplinks: uplinks.map((_one, index) => socketAt(firstUplink + index)),
    get isRunning() {
      return exit.isRunning();
    },
    ended: exit.ended,
    kill: async () => {
      child.kill("SIGKILL");
      if (!(await settlesWithin(exit.ended, stopTimeoutMs)))
        throw new Fail(`QEMU of ${shape.name} does not die`);
    },
    stop,
  };
}

/** The child is killed by the kernel when we die, for any reason: on Linux setpriv asks for that, and exec keeps it. */
function spawnWithUs(argv: readonly string[], fds: number): ChildProcess {
  const [program, ...args] =
    platform === "linux" ? ["setpriv", "--pdeathsig", "KILL", "--", ...argv] : [...argv];
  return spawn(program!, args, {
    env: { ...plainEnv },
    stdio: ["ignore", "ignore", "pipe", ...Array.from({ length: fds - 3 }, () => "pipe" as const)],
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
    // Not "close": another process may have inherited a pipe, and QEMU is gone all the same.
    child.on("exit", (code, signalName) => setTimeout(end, 20, `QEMU ended (${signalName ?? code})`));
  });
  return { ended, isRunning: () => running };
}
