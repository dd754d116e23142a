import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { cacheRoot } from "../../src/system/cache.ts";
import { silentLog } from "../../src/util/log.ts";
import { accelerator } from "../../src/vm/accelerator.ts";
import { createOverlay } from "../../src/vm/disk-image.ts";
import { type Machine, startMachine } from "../../src/vm/machine.ts";
import type { GuestLogin } from "./guest.ts";
import { buildStockHost, makeDataDisk, type StockHost } from "./stock-host.ts";

/** One machine at a time, across all test runs of this computer. */
export const machineLock = join(tmpdir(), "imgbuild-vm.lock");
/** From power-on to a login, on real hardware. */
export const bootTimeoutMs = 30_000;

/** What the data disk of a stock machine holds, to be found again. */
export const dataDisk = {
  uuid: "c1a7e0d4-5b62-4f0e-8f1d-2f6a9b3c7e10",
  files: { "kept.txt": "this outlives a takeover\n" },
} as const;

export interface StockMachine {
  readonly machine: Machine;
  readonly host: StockHost;
  readonly root: GuestLogin;
  /** May use sudo without a password. */
  readonly admin: GuestLogin;
  readonly directory: string;
}

/** Switches on a fresh stock host with a data disk; it is gone when the test is over. */
export async function startStockMachine(firmware: "bios" | "uefi"): Promise<StockMachine> {
  const cache = cacheRoot(process.env);
  const override = process.env.IMGBUILD_ACCEL;
  const host = await buildStockHost({ cache, log: silentLog });
  const directory = await mkdtemp(join(tmpdir(), "imgbuild-stock-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const system = join(directory, "system.qcow2");
  const data = join(directory, "data.raw");
  await createOverlay(host.system, system);
  await makeDataDisk({ file: data, ...dataDisk });
  const machine = await startMachine({
    name: `stock-${firmware}`,
    memoryMib: 1024,
    cpus: 2,
    firmware,
    disks: [
      { file: system, format: "qcow2", serial: "IMGBUILD-SYSTEM" },
      { file: data, format: "raw", serial: "IMGBUILD-DATA" },
    ],
    forwards: [22, 80],
    directory,
    accelerator: await accelerator({ cache, override, log: silentLog }),
    lock: machineLock,
    log: silentLog,
  });
  // Registered after the directory, so run before: vitest calls these newest first.
  onTestFinished(() => machine.stop());
  const login = { key: host.key, pins: host.hostKeys };
  return {
    machine,
    host,
    root: { user: "root", ...login },
    admin: { user: "admin", ...login },
    directory,
  };
}
