import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { describe, expect, it } from "vitest";
import { Storage, type WrittenDisk } from "../../src/schema/storage.ts";
import { writtenDisks } from "../../src/storage/graph/check-storage.ts";
import {
  contentUuid,
  filesystemUuid,
  hashSeed,
  swapUuid,
  vfatUuid,
  vfatVolumeId,
} from "../../src/storage/graph/ids.ts";
import { layoutOf, sfdiskScript } from "../../src/storage/table/gpt.ts";
import { run as plainRun } from "../../src/system/run/run.ts";
import { mib } from "../helpers/builders/storage.ts";
import { readFromVfat } from "../helpers/checks/vfat.ts";
import { type Workshop, workshop } from "../helpers/labs/native.ts";

const epoch = 1_700_000_000;
const seed = "a seed";
const sizeBytes = 256 * mib;
const swapBytes = 16 * mib;
const storage = Storage.parse({
  disks: {
    system: {
      match: { serial: "S" },
      table: {
        type: "gpt",
        partitions: [
          { name: "bios", type: "bios-boot", size: "1MiB" },
          { name: "esp", type: "esp", size: "40MiB", content: { type: "vfat", mount: "/efi", label: "ESP" } },
          {
            name: "root",
            type: "linux-root",
            size: "rest",
            content: { type: "ext4", mount: "/", label: "root" },
          },
        ],
      },
    },
  },
});
const [[name, disk]] = writtenDisks(storage) as [ReturnType<typeof writtenDisks>[number]];
const layout = layoutOf(disk, sizeBytes, 512, { seed, name });
const [, esp, root] = layout.partitions as [
  unknown,
  (typeof layout.partitions)[0],
  (typeof layout.partitions)[0],
];

const place = ({ startBytes, sizeBytes }: { startBytes: number; sizeBytes: number }) => ({
  offsetBytes: startBytes,
  sizeBytes,
});

/** A small tree and what becomes the ESP. */
function fill(work: string): void {
  const tree = join(work, "tree");
  for (const dir of ["tree/etc", "tree/efi", "tree/var/log", "esp/EFI/BOOT", "esp/loader/entries"])
    mkdirSync(join(work, dir), { recursive: true });
  writeFileSync(join(tree, "etc/motd"), "hello\n", { mode: 0o640 });
  writeFileSync(join(tree, "etc/large"), Buffer.alloc(3 * mib, "large "));
  symlinkSync("motd", join(tree, "etc/link"));
  writeFileSync(join(work, "esp/EFI/BOOT/BOOTX64.EFI"), Buffer.alloc(100_000, "efi"));
  writeFileSync(join(work, "esp/loader/entries/debian-6.12.1+deb13-amd64.conf"), "title x\n");
}

async function build({ work, run }: Workshop): Promise<string> {
  fill(work);
  const image = join(work, "disk.raw");
  await run("partition-image", { image, sizeBytes, script: sfdiskScript(layout) });
  await run("mkfs-vfat-image", {
    image,
    ...place(esp),
    volumeId: vfatVolumeId(seed, name, "esp"),
    label: "ESP",
    directory: join(work, "esp"),
    mountPoint: join(work, "tree/efi"),
    epoch,
  });
  await run("mkfs-ext4-image", {
    image,
    ...place(root),
    uuid: filesystemUuid(seed, name, "root"),
    hashSeed: hashSeed(seed, name, "root"),
    label: "root",
    directory: join(work, "tree"),
    mount: "/",
    without: [join(work, "tree/efi")],
    reservedBytes: swapBytes,
    epoch,
  });
  await run("swap-file-image", {
    image,
    offsetBytes: root.startBytes,
    path: "/var/swap/file",
    sizeBytes: swapBytes,
    uuid: swapUuid(seed),
    epoch,
  });
  return image;
}

async function digest(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** A partition as a file of its own. */
async function carve(
  image: string,
  at: { startBytes: number; sizeBytes: number },
  to: string,
): Promise<string> {
  const source = await open(image, "r");
  const { buffer } = await source.read(Buffer.alloc(at.sizeBytes), 0, at.sizeBytes, at.startBytes);
  await source.close();
  writeFileSync(to, buffer);
  return to;
}

describe("an image", () => {
  it("has the table, filesystems and swap file that were asked for, and each tool finds it whole", async () => {
    const shop = await workshop();
    const { work, context } = shop;
    const image = await build(shop);
    const tool = async (...argv: string[]) => (await context.tool(argv)).stdout;

    expect(statSync(image).size).toBe(sizeBytes);
    expect(statSync(image).blocks * 512, "sparse").toBeLessThan(64 * mib);
    const verified = await context.tool(["sfdisk", "--verify", image]);
    expect(verified.stdout + verified.stderr).toMatch(/No errors detected/);
    const table = JSON.parse(await tool("sfdisk", "--json", image)).partitiontable;
    expect(table.id).toBe(layout.diskUuid.toUpperCase());
    expect(
      table.partitions.map((one: Record<string, unknown>) => [
        one.name,
        one.type,
        one.uuid,
        one.start,
        one.size,
      ]),
    ).toEqual(
      layout.partitions.map((one) => [
        one.name,
        one.typeGuid,
        one.partUuid.toUpperCase(),
        one.startBytes / 512,
        one.sizeBytes / 512,
      ]),
    );

    const ext4 = await carve(image, root, join(work, "root.ext4"));
    await tool("e2fsck", "-f", "-n", ext4);
    const header = await tool("dumpe2fs", "-h", ext4);
    for (const line of [
      /Filesystem volume name: +root$/m,
      new RegExp(`Filesystem UUID: +${filesystemUuid(seed, name, "root")}`),
      new RegExp(`Directory Hash Seed: +${hashSeed(seed, name, "root")}`),
      new RegExp(`Block count: +${root.sizeBytes / 4096}$`, "m"),
      /Filesystem created: +Tue Nov 14 22:13:20 2023$/m,
    ])
      expect(header).toMatch(line);
    expect(await tool("debugfs", "-R", "cat /etc/motd", ext4)).toBe("hello\n");
    expect(await tool("debugfs", "-R", "stat /etc/motd", ext4)).toMatch(/User: +0 +Group: +0[\s\S]*Size: 6/);
    expect(await tool("debugfs", "-R", "stat /etc/link", ext4)).toContain('Fast link dest: "motd"');

    await tool("debugfs", "-R", `dump /var/swap/file ${work}/swap`, ext4);
    expect(await tool("swaplabel", join(work, "swap"))).toContain(swapUuid(seed));
    expect(statSync(join(work, "swap")).size).toBe(swapBytes);
    const extents = await tool("debugfs", "-R", "stat /var/swap/file", ext4);
    expect(extents).toMatch(/Mode: +0600[\s\S]*User: +0[\s\S]*Blockcount: 32768/);

    const fat = await carve(image, esp, join(work, "esp.fat"));
    await tool("fsck.vfat", "-n", fat);
    expect(await tool("blkid", "-p", fat)).toMatch(/LABEL="ESP".*VERSION="FAT32"/);
    expect(await tool("blkid", "-p", fat)).toContain(`UUID="${vfatUuid(vfatVolumeId(seed, name, "esp"))}"`);
    const read = (path: string) => readFromVfat(context, image, esp.startBytes, path, join(work, "read"));
    expect((await read("/EFI/BOOT/BOOTX64.EFI"))?.equals(Buffer.alloc(100_000, "efi"))).toBe(true);
    expect((await read("/loader/entries/debian-6.12.1+deb13-amd64.conf"))?.toString()).toBe("title x\n");
    expect(await read("/nothing")).toBeUndefined();
    // The boot sector tells how many sectors lie before it, at offset 28.
    expect(readFileSync(fat).readUInt32LE(28)).toBe(esp.startBytes / 512);
  });

  it("is the same, byte for byte, when it is made again elsewhere and later", async () => {
    const first = await digest(await build(await workshop()));
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(await digest(await build(await workshop()))).toBe(first);
  });
});

describe("the steps of an image", () => {
  it("replace a regular file and refuse anything else", async () => {
    const { work, run } = await workshop();
    const script = sfdiskScript(layout);
    const image = join(work, "disk.raw");
    writeFileSync(image, "what was there");
    await run("partition-image", { image, sizeBytes, script });
    expect(statSync(image).size).toBe(sizeBytes);
    mkdirSync(join(work, "directory"));
    symlinkSync("/dev/null", join(work, "device"));
    for (const [target, message] of [
      ["directory", /neither a regular file nor a block device/],
      ["device", /neither a regular file nor a block device/],
    ] as const)
      await expect(run("partition-image", { image: join(work, target), sizeBytes, script })).rejects.toThrow(
        message,
      );
  });

  it("refuse what does not fit before anything is written", async () => {
    const { work, run } = await workshop();
    fill(work);
    const image = join(work, "disk.raw");
    writeFileSync(image, Buffer.alloc(8 * mib));
    const at = { image, offsetBytes: mib, sizeBytes: 2 * mib, epoch };
    const uuids = { uuid: filesystemUuid(seed, name, "x"), hashSeed: hashSeed(seed, name, "x") };
    const ext4 = {
      ...at,
      ...uuids,
      directory: join(work, "tree"),
      mount: "/",
      without: [],
      reservedBytes: 0,
    };
    await expect(run("mkfs-ext4-image", ext4)).rejects.toThrow(/the files for \/ take 4 MiB/);
    writeFileSync(join(work, "esp/huge"), Buffer.alloc(2 * mib));
    const fat = {
      ...at,
      volumeId: "1a2b3c4d",
      directory: join(work, "esp"),
      mountPoint: join(work, "tree/efi"),
    };
    await expect(run("mkfs-vfat-image", fat)).rejects.toThrow(/the bootloader's files take \d+ bytes/);
    writeFileSync(join(work, "tree/efi/hidden"), "");
    await expect(run("mkfs-vfat-image", fat)).rejects.toThrow(
      /has files \(hidden\) that a boot partition would hide/,
    );
    expect(readFileSync(image).every((byte) => byte === 0)).toBe(true);
  });

  it("say that a swap file does not fit, which debugfs would keep to itself", async () => {
    const shop = await workshop();
    const image = await build(shop);
    const swap = { image, offsetBytes: root.startBytes, uuid: swapUuid(seed), epoch };
    await expect(
      shop.run("swap-file-image", { ...swap, path: "/other", sizeBytes: 1024 * mib }),
    ).rejects.toThrow(/debugfs could not make the swap file \/other/);
  });

  it("make an MBR with a swap area that the kernel's tools know, and a label, at its place", async () => {
    const { work, run } = await workshop();
    const image = join(work, "mbr.raw");
    const table = {
      type: "mbr",
      partitions: [
        { name: "swap", type: "linux-swap", size: "16MiB", content: { type: "swap", label: "paging" } },
        { name: "root", type: "linux", size: "rest", active: true, content: { type: "ext4", mount: "/" } },
      ],
    };
    const { disks } = Storage.parse({ disks: { system: { match: { serial: "S" }, table } } });
    const laid = layoutOf(disks.system as WrittenDisk, sizeBytes, 512, { seed, name });
    await run("partition-image", { image, sizeBytes, script: sfdiskScript(laid) });
    const { startBytes: offsetBytes, sizeBytes: size, partUuid } = laid.partitions[0]!;
    const uuid = contentUuid(seed, "swap", name, "swap");
    await run("swap-partition-image", { image, offsetBytes, sizeBytes: size, uuid, label: "paging" });
    await plainRun(["sfdisk", "--verify", image]);
    const { stdout } = await plainRun(["sfdisk", "--dump", image]);
    expect(stdout).toContain(`label-id: 0x${partUuid.slice(0, 8)}`);
    expect(stdout).toMatch(/type=82\n.*type=83, bootable/);
    const probed = await plainRun([
      "blkid",
      "--probe",
      "--offset",
      String(offsetBytes),
      "-o",
      "export",
      image,
    ]);
    for (const line of ["TYPE=swap", "LABEL=paging", `UUID=${uuid}`]) expect(probed.stdout).toContain(line);
  });

  it("give back, as it was, what stepped aside for a mount point", async () => {
    const { work, run } = await workshop();
    fill(work);
    const image = join(work, "disk.raw");
    await run("partition-image", { image, sizeBytes, script: sfdiskScript(layout) });
    writeFileSync(join(work, "tree/var/log/messages"), "kept\n");
    await run("mkfs-ext4-image", {
      image,
      ...place(root),
      uuid: filesystemUuid(seed, name, "root"),
      hashSeed: hashSeed(seed, name, "root"),
      directory: join(work, "tree"),
      mount: "/",
      without: [join(work, "tree/var")],
      reservedBytes: 0,
      epoch,
    });
    expect(readFileSync(join(work, "tree/var/log/messages"), "utf8")).toBe("kept\n");
  });
});
