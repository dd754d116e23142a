import type { DiskFacts } from "../../src/schema/facts.ts";
import { Storage } from "../../src/schema/storage.ts";

export const mib = 2 ** 20;
export const keptUuid = "7f1d9a54-3c0e-4b6a-9d58-2f6b1c8e4a90";

export const bios = { name: "bios", type: "bios-boot", size: "1MiB" };
export const esp = { name: "esp", type: "esp", size: "256MiB", content: { type: "vfat", mount: "/efi" } };
export const root = { name: "root", type: "linux-root", size: "rest", content: { type: "ext4", mount: "/" } };

/** A written disk `system` with these partitions, and what else is given. */
export function storageOf(
  partitions: readonly object[],
  more: { disks?: object; swapFile?: object } = {},
): Storage {
  return Storage.parse({
    disks: { system: { match: { serial: "SYS" }, table: { type: "gpt", partitions } }, ...more.disks },
    ...(more.swapFile === undefined ? {} : { swapFile: more.swapFile }),
  });
}

export const keptDisk = {
  match: { serial: "DATA" },
  keep: [{ type: "ext4", uuid: keptUuid, mount: "/srv" }],
};

export function diskFacts(name: string, fields: Partial<DiskFacts> = {}): DiskFacts {
  return {
    name,
    sizeBytes: 4096 * mib,
    sectorSize: 512,
    removable: false,
    readOnly: false,
    holders: [],
    mountPoints: [],
    partitions: [],
    ...fields,
  };
}
