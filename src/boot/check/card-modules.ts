import { existsSync, realpathSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";

/** Names of the kernel modules that drive the network cards of this machine; what is built into the kernel is missing. */
export async function cardModules(sys = "/sys"): Promise<string[]> {
  const links = await readdir(join(sys, "class/net")).catch(() => [] as string[]);
  const modules = links
    .map((name) => join(sys, "class/net", name, "device/driver/module"))
    // What is built in and has parameters looks like a module, but for the state that only loaded ones have.
    .filter((module) => existsSync(join(module, "initstate")))
    .map((module) => basename(realpathSync(module)));
  return [...new Set(modules)].sort();
}
