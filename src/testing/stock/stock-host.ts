import { mkdir, open, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { partitionTypes } from "../../storage/table/gpt.ts";
import { inOnePiece } from "../../system/files/one-piece.ts";
import { run } from "../../system/run/run.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { Tree } from "../../tree/tree.ts";
import { digestOf } from "../../util/digest.ts";
import type { Log } from "../../util/log.ts";
import { installGrub } from "./stock-grub.ts";
import { makeStockTree, type StockNetwork, stockFiles, stockIds, stockPackages } from "./stock-tree.ts";

/** Raise it when the recipe changes in a way that the digest does not see. */
const recipeVersion = 2;
const mib = 1024 * 1024;

/** The system disk: one image for both firmwares, as cloud providers have it. MiB. */
const layout = {
  biosBoot: { start: 1, size: 1 },
  esp: { start: 2, size: 64 },
  root: { start: 66, size: 4029 },
};
const diskMib = 4096;

export interface StockHost {
  /** Raw; never written, tests boot overlays of it. */
  readonly system: { readonly file: string; readonly format: "raw" };
  /** Private key that logs in as `root`, and as `admin`, who has sudo without a password. */
  readonly key: string;
  /** Public host keys, "ssh-ed25519 AAAA…", to pin. */
  readonly hostKeys: readonly string[];
  readonly kernel: string;
}

/**
 * A stock Debian 12 server as a provider would sell it, made by mmdebstrap and Debian's GRUB: the host that is taken over
 * in tests. Made once per recipe into `cache`; needs root, network, mmdebstrap, mtools and e2fsprogs.
 */
export async function buildStockHost(options: {
  readonly cache: string;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
  /** Default "dhcp". */
  readonly network?: StockNetwork;
}): Promise<StockHost> {
  const files = stockFiles("", options.network);
  const recipe = digestOf([recipeVersion, stockPackages, files, layout, installGrub.toString()]);
  const entry = join(options.cache, `stock-host-${recipe.slice(0, 16)}`);
  await inOnePiece(entry, (work) =>
    options.log.task("building the stock host", (log) => makeStockHost(work, { ...options, log })),
  );
  const facts = JSON.parse(await readFile(join(entry, "facts.json"), "utf8")) as {
    hostKeys: string[];
    kernel: string;
  };
  return { system: { file: join(entry, "system.raw"), format: "raw" }, key: join(entry, "key"), ...facts };
}

async function makeStockHost(
  work: string,
  options: Omit<Parameters<typeof buildStockHost>[0], "cache">,
): Promise<void> {
  const { log } = options;
  const key = join(work, "key");
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "stock-host", "-f", key]);
  const publicKey = (await readFile(`${key}.pub`, "utf8")).trim();
  const tree = join(work, "tree");
  await makeStockTree(tree, publicKey, options.network ?? "dhcp", options);
  const image = join(work, "system.raw");
  const { kernel } = await log.task("writing its disk", () => writeDisk(tree, image));
  const hostKeys = [];
  for (const type of ["ed25519", "ecdsa", "rsa"]) {
    const line = new Tree(tree).text(`/etc/ssh/ssh_host_${type}_key.pub`) ?? "";
    hostKeys.push(line.trim().split(" ").slice(0, 2).join(" "));
  }
  await writeFile(join(work, "facts.json"), JSON.stringify({ hostKeys, kernel }));
  await rm(tree, { recursive: true });
}

async function writeDisk(tree: string, image: string): Promise<{ kernel: string }> {
  await partition(image, diskMib, [
    `start=${layout.biosBoot.start}MiB, size=${layout.biosBoot.size}MiB, type=${partitionTypes["bios-boot"][0]}`,
    `start=${layout.esp.start}MiB, size=${layout.esp.size}MiB, type=${partitionTypes.esp[0]}`,
    `start=${layout.root.start}MiB, size=${layout.root.size}MiB, type=${partitionTypes.linux[0]}`,
  ]);
  const sectors = (sizeMib: number) => (sizeMib * mib) / 512;
  await run([
    ...["mkfs.vfat", "-F", "32", "-s", "1", "-i", stockIds.esp.replace("-", ""), "-n", "ESP"],
    ...[`--offset=${sectors(layout.esp.start)}`, image, String(layout.esp.size * 1024)],
  ]);
  const { kernel, core } = await installGrub(tree, { file: image, offset: layout.esp.start * mib });
  await writeBiosBoot(tree, image, core);
  await makeExt4(image, layout.root, { uuid: stockIds.root, label: "root", tree });
  return { kernel };
}

/** GRUB's first stage in the boot sector, the rest in the BIOS boot partition, each with the place of the next part. */
async function writeBiosBoot(tree: string, image: string, core: Uint8Array): Promise<void> {
  const start = BigInt((layout.biosBoot.start * mib) / 512);
  const boot = Buffer.from(new Tree(tree).read(`/usr/lib/grub/${onlyArchitecture.grub.bios}/boot.img`) ?? []);
  // boot.S: kernel_sector (8 bytes) at 0x5c; at 0x66 a jump that is replaced by no-ops for disks, as grub-bios-setup does.
  boot.writeBigUInt64LE(start, 0x5c);
  boot.writeUInt16LE(0x9090, 0x66);
  const second = Buffer.from(core);
  // diskboot.S: the first block list, at the end of the first sector, starts after that sector.
  second.writeBigUInt64LE(start + 1n, 512 - 12);
  if (second.length > layout.biosBoot.size * mib)
    throw new Error("GRUB does not fit its BIOS boot partition");
  const disk = await open(image, "r+");
  try {
    // Bytes from 440 on are the disk's signature and the protective partition table.
    await disk.write(boot, 0, 440, 0);
    await disk.write(second, 0, second.length, layout.biosBoot.start * mib);
  } finally {
    await disk.close();
  }
}

/** A raw GPT disk with one ext4 partition that a takeover must keep: label `srv`, mounted at /srv by the stock host. */
export async function makeDataDisk(options: {
  readonly file: string;
  readonly uuid: string;
  /** Content by file name. */
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  readonly sizeMib?: number;
}): Promise<void> {
  const sizeMib = options.sizeMib ?? 256;
  await partition(options.file, sizeMib, [`start=1MiB, type=${partitionTypes.linux[0]}`]);
  const tree = `${options.file}.tree`;
  await mkdir(tree);
  try {
    for (const [name, content] of Object.entries(options.files)) new Tree(tree).write(name, content);
    // The table's copy takes the last 33 sectors.
    const part = { start: 1, size: sizeMib - 2 };
    await makeExt4(options.file, part, { uuid: options.uuid, label: "srv", tree });
  } finally {
    await rm(tree, { recursive: true });
  }
}

async function partition(image: string, sizeMib: number, lines: readonly string[]): Promise<void> {
  await writeFile(image, "", { flag: "wx" });
  await truncate(image, sizeMib * mib);
  await run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", image], {
    stdin: ["label: gpt", ...lines, ""].join("\n"),
  });
}

async function makeExt4(
  image: string,
  part: { readonly start: number; readonly size: number },
  filesystem: { readonly uuid: string; readonly label: string; readonly tree: string },
): Promise<void> {
  await run([
    ...["mke2fs", "-q", "-t", "ext4", "-U", filesystem.uuid, "-L", filesystem.label, "-d", filesystem.tree],
    ...["-E", `offset=${part.start * mib},root_owner=0:0`, "-F", image, `${part.size}M`],
  ]);
}
