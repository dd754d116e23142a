import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DiskIdentity } from "../../../src/disks/find-disk.ts";
import { packArgv } from "../../../src/steps/tree/unpack-tree.ts";
import { fillTree } from "./hostile-tree.ts";

/** A node that every machine has, and whose name is none of a disk that it could have. */
const kernelName = "full";
const serial = "fake-disk";
const mib = 2 ** 20;
let sizeBytes: number | undefined;

/** The one disk of the machine after `makeMachineDisk`. */
export function machineDisk(): DiskIdentity {
  if (sizeBytes === undefined) throw new Error("makeMachineDisk has made no disk");
  return { name: "fake", serial, sizeBytes };
}

/**
 * A machine with one disk, which is a file and holds the archive of a tree: steps that look for a disk find that. It is seen in this
 * process' mount namespace alone, which must be one of its own.
 */
export function makeMachineDisk(dir: string): void {
  const [tree, disk, block] = [join(dir, "tree"), join(dir, "disk"), join(dir, "block")];
  mkdirSync(tree, { recursive: true });
  fillTree(tree);
  cpSync(join(tree, "etc"), join(tree, "srv/data/etc"), { recursive: true });
  // Kernels, large and of no meaning here.
  for (const name of readdirSync(join(tree, "boot"))) rmSync(join(tree, "boot", name), { recursive: true });
  const [program, ...args] = packArgv(tree, disk, 1_700_000_000);
  execFileSync(program!, args);
  sizeBytes = Math.ceil(statSync(disk).size / mib) * mib;
  truncateSync(disk, sizeBytes);
  mkdirSync(join(block, kernelName, "device"), { recursive: true });
  writeFileSync(join(block, kernelName, "size"), `${sizeBytes / 512}\n`);
  writeFileSync(join(block, kernelName, "device/serial"), `${serial}\n`);
  execFileSync("mount", ["--bind", block, "/sys/block"]);
  execFileSync("mount", ["--bind", disk, `/dev/${kernelName}`]);
}
