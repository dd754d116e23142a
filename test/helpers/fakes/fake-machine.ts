import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { DiskIdentity, MachinePaths } from "../../../src/disks/find-disk.ts";
import type { DiskPartition } from "../../../src/disks/target.ts";
import { tempDir } from "../temp-dir.ts";

interface Part {
  readonly number: number;
  readonly startBytes: number;
  readonly sizeBytes: number;
}

/** A machine as the kernel shows it, below a directory of its own. Its disks are sparse files, which a step may really write. */
export interface FakeMachine {
  readonly dir: string;
  readonly machine: MachinePaths;
  /** A file below `dir`, with the directories above it. */
  put(path: string, content: string | Uint8Array): void;
  /** A block device "dm-0", "md0", with these files of its directory in /sys; a node in /dev where `node` names one. */
  block(name: string, files: Readonly<Record<string, string>>, node?: string): void;
  /** A disk whose serial is its name in capitals, as a plan knows it. */
  disk(name: string, sizeBytes: number, partitions?: readonly Part[]): DiskIdentity;
  /** A partition of such a disk, as a plan knows it. */
  part(disk: DiskIdentity, part: Part): DiskPartition;
}

export function fakeMachine(): FakeMachine {
  const dir = tempDir();
  const put = (path: string, content: string | Uint8Array) => {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  };
  const sparse = (name: string, sizeBytes: number) => {
    put(`dev/${name}`, "");
    truncateSync(join(dir, "dev", name), sizeBytes);
  };
  const block: FakeMachine["block"] = (name, files, node) => {
    for (const [path, text] of Object.entries({ size: "2048", ...files }))
      put(`sys/block/${name}/${path}`, `${text}\n`);
    if (node !== undefined) sparse(node, Number(files.size ?? 2048) * 512);
  };
  put("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
  for (const name of ["self/mountinfo", "self/mounts", "cpuinfo"]) put(`proc/${name}`, "");
  for (const name of ["sys/block", "run"]) mkdirSync(join(dir, name), { recursive: true });
  return {
    ...{ dir, put, block },
    machine: {
      ...{ sys: join(dir, "sys"), udev: join(dir, "run/udev"), dev: join(dir, "dev") },
      ...{ proc: join(dir, "proc"), run: join(dir, "run") },
    },
    disk: (name, sizeBytes, partitions = []) => {
      block(name, { serial: name.toUpperCase(), size: String(sizeBytes / 512) }, name);
      for (const { number, startBytes, sizeBytes: bytes } of partitions) {
        const files = { partition: number, start: startBytes / 512, size: bytes / 512 };
        for (const [file, value] of Object.entries(files))
          put(`sys/block/${name}/${name}${number}/${file}`, `${value}\n`);
        sparse(`${name}${number}`, bytes);
      }
      return { name: `the-${name}`, serial: name.toUpperCase(), sizeBytes };
    },
    part: (disk, part) => ({ disk, ...part }),
  };
}
