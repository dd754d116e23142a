import type { DiskFacts } from "../../../src/schema/facts.ts";
import { Storage } from "../../../src/schema/storage.ts";

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

/** A partition named `data` that holds this. */
export const holding = (content: object, size: string = "1GiB", name = "data") => ({
  name,
  type: "linux",
  size,
  content,
});

/** The words of each command in steps of the kind `make-storage`, devices by what they are. */
export function argvOf(steps: readonly { readonly kind: string; readonly commands?: unknown }[]): string[] {
  return steps
    .filter(({ kind }) => kind === "make-storage")
    .flatMap(({ commands }) =>
      (commands as { program: string; args: (string | { device: object })[] }[]).map(({ program, args }) =>
        [program, ...args.map((word) => (typeof word === "string" ? word : shownDevice(word.device)))].join(
          " ",
        ),
      ),
    );
}

/** "<system:2>", "<luks crypt>", "<volume vg/root>". */
export function shownDevice(device: object): string {
  if ("partition" in device) {
    const { disk, number } = device.partition as { disk: { name: string }; number: number };
    return `<${disk.name}:${number}>`;
  }
  const [[kind, about]] = Object.entries(device) as [[string, { name: string; group?: string }]];
  return `<${kind} ${about.group === undefined ? "" : `${about.group}/`}${about.name}>`;
}

/** What a file of the new system has; "" where there is no such file. */
export function fileOf(
  { files }: { readonly files: readonly { readonly path: string; readonly content: string }[] },
  path: string,
): string {
  return files.find((file) => file.path === path)?.content ?? "";
}
