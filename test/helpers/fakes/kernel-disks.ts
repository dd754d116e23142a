import type { MachinePaths } from "../../../src/disks/find-disk.ts";
import { fakeMachine } from "./fake-machine.ts";

/** A machine of block devices, each with these files of its directory in /sys; nodes of disks, partitions and mappings are there. */
export function kernelDisks(disks: Readonly<Record<string, Readonly<Record<string, string>>>>): MachinePaths {
  const { machine, put, block } = fakeMachine();
  for (const [name, files] of Object.entries(disks)) {
    block(name, { "queue/logical_block_size": "512", ...files }, name);
    for (const [path, text] of Object.entries(files)) {
      if (path.endsWith("/partition")) put(`dev/${path.split("/")[0]}`, "");
      if (path === "dm/name") put(`dev/mapper/${text}`, "");
    }
  }
  return machine;
}
