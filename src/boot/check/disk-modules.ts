import { existsSync, realpathSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Fail } from "../../util/fail.ts";

/** The device that is mounted at a path: "/dev/vda2". `table` is what the kernel says of its mounts. */
export async function mountedSource(path: string, table = "/proc/self/mounts"): Promise<string> {
  const lines = (await readFile(table, "utf8")).split("\n").map((line) => line.split(" "));
  const source = lines.filter(([, where]) => where === path).at(-1)?.[0];
  if (source === undefined) throw new Fail(`nothing is mounted at ${path}`);
  return source;
}

/**
 * Names of the kernel modules that drive a block device on this machine, from the disk up to its bus, and those of what it is stacked
 * on. What is built into this kernel is missing, as it has no module.
 */
export async function diskModules(device: string, sys = "/sys"): Promise<string[]> {
  const name = basename(device.startsWith("/dev/") && sys === "/sys" ? realpathSync(device) : device);
  const found = new Set<string>();
  await collect(name, sys, found);
  return [...found].sort();
}

async function collect(name: string, sys: string, found: Set<string>): Promise<void> {
  const link = join(sys, "class/block", name);
  if (!existsSync(link)) return;
  const place = realpathSync(link);
  for (const slave of await readdir(join(place, "slaves")).catch(() => [] as string[]))
    await collect(slave, sys, found);
  const top = realpathSync(sys);
  for (let at = place; at.startsWith(`${top}/`); at = dirname(at)) {
    const module = join(at, "driver/module");
    // What is built in and has parameters looks like a module, but for the state that only loaded ones have.
    if (existsSync(join(module, "initstate"))) found.add(basename(realpathSync(module)));
  }
}
