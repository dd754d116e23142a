import { copyFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { requireTools } from "../operator/native/doctor.ts";
import type { Surroundings } from "../system/files/cache.ts";
import { onlyArchitecture } from "../tables/architecture.ts";
import { stockRelease } from "../tables/release.ts";
import { exitCodes, Fail } from "../util/fail.ts";
import { openLab } from "../vm/lab/lab.ts";
import type { Machine } from "../vm/machine/machine.ts";
import { loginFiles } from "./login-files.ts";
import { buildStockHost } from "./stock/stock-host.ts";

/** What makes the host and starts it. */
const tools = [
  ...[onlyArchitecture.qemu.program, "qemu-img"],
  ...["mmdebstrap", "mke2fs", "sfdisk", "mkfs.vfat", "mcopy"],
];

/**
 * A server to practise on: a stock Debian with static addresses, and a disk without a serial, as many are rented. Its disk stays
 * in `directory`, with an ssh_config by which it is reached as "stock".
 */
export async function withStandIn(
  from: string,
  options: { readonly directory: string; readonly firmware: string; readonly memory?: number },
  outside: Surroundings,
  work: (machine: Machine, sshConfig: string) => Promise<void>,
): Promise<void> {
  if (from !== `stock:${stockRelease}`)
    throw new Fail(`${from}: only stock:${stockRelease} can be built`, { exitCode: exitCodes.usage });
  await requireTools("build", tools);
  const directory = resolve(options.directory);
  const stock = await buildStockHost({ ...outside, network: "static" });
  const lab = await openLab({ ...outside, accel: outside.env.IMGBUILD_ACCEL, directory, keep: true });
  try {
    const machine = await lab.machine({
      name: "stock",
      firmware: options.firmware === "uefi" ? "uefi" : "bios",
      memoryMib: options.memory ?? 1024,
      // Only what a rented server has.
      shell: false,
      disks: [{ image: stock.system, serial: "SYSTEM", nameless: true }],
    });
    const key = join(directory, "key");
    await copyFile(stock.key, key);
    await machine.start();
    const { sshConfig } = await loginFiles("stock", directory, machine, { ...stock, key, user: "root" });
    await work(machine, sshConfig);
  } finally {
    await lab.close();
  }
}
