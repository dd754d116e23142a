import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { throwawaySigner } from "../../../../src/boot/efi/self-signed.ts";
import { grubCopies } from "../../../../src/boot/efi-files.ts";
import { bootCode, placedCore } from "../../../../src/boot/grub.ts";
import { loaderEntry } from "../../../../src/boot/loader.ts";
import { makeVerity } from "../../../../src/steps/boot/make-verity.ts";
import { verifyBoot } from "../../../../src/steps/boot/verify-boot.ts";
import { efiProgram } from "../../../helpers/builders/pe.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const version = "6.1-x";
const uuid = "7f1d9a54-3c0e-4b6a-9d58-2f6b1c8e4a90";
const rootWord = `root=UUID=${uuid}`;
const cmdline = [rootWord, "ro"];
const kernel = efiProgram({ ".text": Buffer.alloc(2 ** 20) });
const listing = "init\nusr/lib/modules/6.1-x/kernel/fs/ext4.ko\nusr/lib/modules/6.1-x/kernel/virtio_blk.ko\n";

type Wanted = z.input<typeof verifyBoot.schema>;

/** A tree, an ESP and an image that are right; each test breaks one thing. */
function machine() {
  const dir = tempDir();
  const [root, esp, image] = ["tree", "esp", "disk"].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  const put = (path: string, content: Uint8Array | string) => {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  };
  put(`tree/boot/vmlinuz-${version}`, kernel);
  put(`tree/boot/initrd.img-${version}`, Buffer.alloc(2 ** 20));
  for (const name of ["vmlinuz", "initrd.img"]) symlinkSync(`boot/${name}-${version}`, join(root, name));
  put("tree/etc/fstab", `UUID=${uuid} / ext4 errors=remount-ro 0 1\n`);
  put(
    "tree/boot/grub/grub.cfg",
    `search --fs-uuid --set=root ${uuid}\n  linux /vmlinuz ${cmdline.join(" ")}\n`,
  );
  for (const path of ["EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi"])
    put(`esp/${path}`, efiProgram());
  put(`esp/debian/${version}/linux`, kernel);
  put(`esp/debian/${version}/initrd.img-${version}`, Buffer.alloc(2 ** 20));
  put(`esp/loader/entries/debian-${version}.conf`, loaderEntry(version, "t", cmdline));
  const superblock = Buffer.alloc(2 ** 20);
  superblock.writeUInt16LE(0xef53, 1024 + 0x38);
  Buffer.from(uuid.replaceAll("-", ""), "hex").copy(superblock, 1024 + 0x68);
  put("disk", superblock);
  const wanted: Wanted = {
    ...{ rootUuid: uuid, cmdline, modules: ["ext4"], menu: { uuid, linksIn: "/" } },
    esp: { path: esp, loader: "systemd-boot", sizeBytes: 64 * 2 ** 20 },
    rootAt: { image, offsetBytes: 0 },
  };
  return { ...fakeMachine(), dir, root, esp, put, image, wanted };
}

type Made = ReturnType<typeof machine>;

async function verify({ root, machine }: Made, wanted: Wanted, list = listing): Promise<string[]> {
  const lister = `tree: lsinitramfs /boot/initrd.img-${version}`;
  const { context, asked, said, options } = stepBench({
    root,
    machine,
    answers: { [lister]: { stdout: list } },
  });
  await verifyBoot.run(verifyBoot.schema.parse(wanted), context);
  expect(asked).toEqual([lister]);
  expect(options[0]!.timeoutMs).toBe(600_000);
  return said;
}

/** A root of 1 MiB with verity, and where its bytes lie. */
function verified({ disk, part, machine, dir }: Made) {
  const parts = [1, 2].map((number) => ({ number, startBytes: number * 2 ** 20, sizeBytes: 2 ** 20 }));
  const on = disk("vda", 4 * 2 ** 20, parts);
  const [data, tree] = parts.map((one) => part(on, one));
  const verity = { data: data!, tree: tree!, uuid, salt: "ab".repeat(32), file: join(dir, "hash") };
  return { verity, data: join(machine.dev, "vda1") };
}

describe("verify-boot", () => {
  it("is content with a machine on which everything is there", async () => {
    const made = machine();
    expect(await verify(made, made.wanted)).toEqual([`info bootable: ${version}, systemd-boot`]);
  });

  it("takes a command line that names the root by a mapping", async () => {
    const made = machine();
    const words = ["root=/dev/mapper/root", "ro"];
    made.put(`esp/loader/entries/debian-${version}.conf`, loaderEntry(version, "t", words));
    made.put("tree/boot/grub/grub.cfg", `${uuid}\nlinux /vmlinuz ${words.join(" ")}\n`);
    await verify(made, { ...made.wanted, cmdline: words });
  });

  it("wants a root with verity to be its mapping, for the kernel and in fstab", async () => {
    const made = machine();
    const { verity } = verified(made);
    const mapped = { ...made.wanted, verity, cmdline: ["root=/dev/mapper/root", "ro"] };
    await expect(verify(made, { ...made.wanted, verity })).rejects.toThrow(
      /is \/dev\/mapper\/root; the kernel/,
    );
    await expect(verify(made, mapped)).rejects.toThrow(/and fstab says UUID=/);
    made.put("tree/etc/fstab", "/dev/mapper/root / ext4 ro 0 0\n");
    await expect(verify(made, mapped)).rejects.toThrow("names no systemd.verity_root_data");
    const half = { ...mapped, cmdline: [...mapped.cmdline, "systemd.verity_root_data=x"] };
    await expect(verify(made, half)).rejects.toThrow("names no systemd.verity_root_hash");
  });

  it("opens a root with verity as the kernel will, and wants its root hash in every entry", async () => {
    const made = machine();
    const { verity, data } = verified(made);
    const hash = "0f".repeat(32);
    const answers = { "veritysetup format": { stdout: `Root hash: ${hash}\n` } };
    await makeVerity.run(verity, stepBench({ machine: made.machine, answers }).context);
    const words = ["root=/dev/mapper/root", "ro", "systemd.verity_root_data=x", "systemd.verity_root_hash=y"];
    made.put("tree/etc/fstab", "/dev/mapper/root / ext4 ro 0 0\n");
    made.put("tree/boot/grub/grub.cfg", `${uuid}\nlinux /vmlinuz ${words.join(" ")}\n`);
    const wanted = { ...made.wanted, verity, cmdline: words };
    const entry = `esp/loader/entries/debian-${version}.conf`;
    made.put(entry, loaderEntry(version, "t", words));
    await expect(verify(made, wanted)).rejects.toThrow(`does not say roothash=${hash}`);
    made.put(entry, loaderEntry(version, "t", [...words, `roothash=${hash}`]));
    await verify(made, wanted);
    writeFileSync(data, "changed");
    truncateSync(data, 2 ** 20);
    await expect(verify(made, wanted)).rejects.toMatchObject({
      message: expect.stringMatching(/^the root with verity would not open: /),
      hint: "deploy or build again",
    });
  });

  it("looks at what is mounted where the tree is made, with this machine's own drivers", async () => {
    const made = machine();
    const wanted = { ...made.wanted, rootAt: undefined, mounted: true };
    await expect(verify(made, wanted)).rejects.toThrow(`nothing is mounted at ${made.root}`);
    const mounts = `/dev/old ${made.root} xfs rw 0 0\n${made.image} ${made.root} ext4 rw 0 0\n`;
    writeFileSync(join(made.machine.proc, "self/mounts"), mounts);
    await verify(made, wanted);
    const sys = made.machine.sys;
    const device = join(sys, "devices/pci0/virtio1");
    for (const path of [join(device, "block/disk"), join(device, "driver/module"), join(sys, "class/block")])
      mkdirSync(path, { recursive: true });
    writeFileSync(join(device, "driver/module/initstate"), "live\n");
    symlinkSync(join(device, "block/disk"), join(sys, "class/block/disk"));
    await expect(verify(made, wanted)).rejects.toThrow(
      "lacks what the root filesystem needs: the module module",
    );
    await verify(made, { ...wanted, mounted: false });
    made.put("disk", Buffer.alloc(2 ** 20));
    await expect(verify(made, { ...wanted, esp: undefined })).rejects.toThrow(
      `${rootWord} leads nowhere: ${made.image} holds no filesystem for the root`,
    );
  });

  it("wants a driver of this machine's network card where the root needs the network", async () => {
    const made = machine();
    writeFileSync(join(made.machine.proc, "self/mounts"), `${made.image} ${made.root} ext4 rw 0 0\n`);
    const card = join(made.machine.sys, "class/net/eth0/device/driver");
    mkdirSync(card, { recursive: true });
    mkdirSync(join(made.dir, "virtio_net"));
    writeFileSync(join(made.dir, "virtio_net/initstate"), "live\n");
    symlinkSync(join(made.dir, "virtio_net"), join(card, "module"));
    const wanted = { ...made.wanted, mounted: true };
    const tang = { ...wanted, programs: ["clevis-decrypt-tang"] };
    const list = `${listing}usr/bin/clevis-decrypt-tang\n`;
    await verify(made, wanted);
    await expect(verify(made, tang, list)).rejects.toThrow(
      "no driver for any network card of this machine (virtio_net)",
    );
    await verify(made, { ...tang, mounted: false }, list);
    await verify(made, tang, `${list}kernel/virtio_net.ko\n`);
  });

  it("takes for there what is built into the kernel", async () => {
    const made = machine();
    const without = listing.replace("ext4", "ext3");
    await expect(verify(made, made.wanted, without)).rejects.toThrow("the module ext4");
    made.put(`tree/usr/lib/modules/${version}/modules.builtin`, "kernel/fs/ext4/ext4.ko\n");
    await verify(made, made.wanted, without);
  });

  it("finds the root at its place in an image", async () => {
    const made = machine();
    const rootAt = { image: made.image, offsetBytes: 4096 };
    await expect(verify(made, { ...made.wanted, rootAt })).rejects.toThrow(
      "holds no filesystem for the root",
    );
    const other = readFileSync(made.image);
    other.fill(0, 1024 + 0x68, 1024 + 0x78);
    made.put("disk", other);
    await expect(verify(made, made.wanted)).rejects.toThrow(
      "the ext4 that was made for the root has the UUID 00000000-0000-0000-0000-000000000000",
    );
  });

  it("reads GRUB for BIOS back from each disk", async () => {
    const made = machine();
    const cores = [{ target: { image: made.image }, startBytes: 512, sizeBytes: 4096 }];
    await expect(verify(made, { ...made.wanted, cores })).rejects.toThrow("first sector holds no boot code");
    const place = { startBytes: 2 ** 20, sizeBytes: 64 * 512 };
    const core = Buffer.alloc(20 * 512, 0x5a);
    core.writeUInt16LE(19, 512 - 4);
    const disk = Buffer.concat([
      readFileSync(made.image),
      placedCore(core, place.startBytes, place.sizeBytes),
    ]);
    bootCode(Buffer.alloc(512, 0xaa), place.startBytes).copy(disk);
    disk.writeUInt16LE(0xaa55, 510);
    made.put("disk", disk);
    const wanted = { ...made.wanted, esp: undefined, cores: [{ target: { image: made.image }, ...place }] };
    expect(await verify(made, wanted)).toEqual([`info bootable: ${version}, GRUB for BIOS`]);
  });

  it("wants what is on the ESP to be signed as the definition says", async () => {
    const made = machine();
    const mine = throwawaySigner("mine");
    const esp = (secureBoot: "debian" | { certificate: string }): Wanted["esp"] => ({
      ...{ ...made.wanted.esp!, secureBoot },
    });
    await expect(verify(made, { ...made.wanted, esp: esp("debian") })).rejects.toThrow("EFI/BOOT");
    const own = { ...made.wanted, esp: esp({ certificate: mine.certificate.toString() }) };
    await expect(verify(made, own)).rejects.toThrow("is not signed, so Secure Boot would refuse it");
    const bad = { ...made.wanted, esp: esp({ certificate: "none" }) };
    await expect(verify(made, bad)).rejects.toThrow("names a certificate that is none");
  });

  describe("the room for the next kernel", () => {
    // The ESP's content takes a little more than 2 MiB; the next kernel takes 2 MiB and one to spare.
    const withEsp = (made: Made, more: object) => ({
      ...made.wanted,
      esp: { ...made.wanted.esp!, ...more } as Wanted["esp"],
    });

    it("is what FAT leaves of its size beside what is there, whole directories counted", async () => {
      const made = machine();
      const count = (directory: string): number =>
        readdirSync(directory, { withFileTypes: true }).reduce((sum, one) => {
          const path = join(directory, one.name);
          return sum + statSync(path).size + (one.isDirectory() ? count(path) : 0);
        }, 0);
      const kernelBytes = kernel.length + 2 ** 20;
      const needed = kernelBytes + 2 ** 20 + count(made.esp);
      const sizeBytes = Math.ceil(needed / 0.98);
      await verify(made, withEsp(made, { sizeBytes: sizeBytes + 1 }));
      await expect(verify(made, withEsp(made, { sizeBytes: sizeBytes - 2 }))).rejects.toMatchObject({
        message: "the ESP has 4 MiB left, and the next kernel will take 4 MiB",
        hint: "make the ESP larger",
      });
      await expect(verify(made, withEsp(made, { sizeBytes: 1 }))).rejects.toThrow("the ESP has 0 MiB left");
    });

    it("is that of the base too, which goes before the system starts", async () => {
      const made = machine();
      made.put("esp/imgbuild/rescue/squashfs", Buffer.alloc(8 * 2 ** 20));
      const sizeBytes = 9 * 2 ** 20;
      await expect(verify(made, withEsp(made, { sizeBytes }))).rejects.toThrow("the ESP has 0 MiB left");
      await verify(made, withEsp(made, { sizeBytes, goes: "/imgbuild/rescue" }));
    });

    it("is asked of a mounted filesystem itself", async () => {
      const made = machine();
      await verify(made, withEsp(made, { sizeBytes: undefined }));
    });

    it("is wanted on an extended boot loader partition where there is one, and not with GRUB", async () => {
      const made = machine();
      for (const path of [`debian/${version}/linux`, `debian/${version}/initrd.img-${version}`])
        made.put(`xb/${path}`, readFileSync(join(made.esp, path)));
      made.put(`xb/loader/entries/debian-${version}.conf`, loaderEntry(version, "t", cmdline));
      const kernels = { path: join(made.dir, "xb"), sizeBytes: 2 ** 20 };
      await expect(verify(made, withEsp(made, { kernels }))).rejects.toMatchObject({
        message: "the extended boot loader partition has 0 MiB left, and the next kernel will take 4 MiB",
        hint: "make the extended boot loader partition larger",
      });
      await verify(made, withEsp(made, { kernels: { ...kernels, sizeBytes: 2 ** 26 }, sizeBytes: 1 }));
      for (const [from, to] of grubCopies(false)) {
        made.put(`tree${from}`, efiProgram());
        made.put(`esp/${to}`, efiProgram());
      }
      made.put("esp/EFI/debian/grub.cfg", uuid);
      await verify(made, withEsp(made, { loader: "grub", sizeBytes: 1 }));
    });
  });

  it("refuses an overlay of a directory that is not there", async () => {
    const made = machine();
    await verify(made, { ...made.wanted, overlays: ["/etc"] });
    await expect(verify(made, { ...made.wanted, overlays: ["/etc", "/gone"] })).rejects.toThrow(
      "the tree has no directory /gone",
    );
  });

  it.each<[string, (made: Made) => void, string]>([
    [
      "no kernel",
      ({ root }) => rmSync(join(root, `boot/vmlinuz-${version}`)),
      "the tree has no kernel in /boot",
    ],
    [
      "a kernel cut off",
      ({ root }) => truncateSync(join(root, `boot/vmlinuz-${version}`), 9),
      "is only 9 bytes",
    ],
    [
      "no initramfs",
      ({ root }) => rmSync(join(root, `boot/initrd.img-${version}`)),
      `/boot/initrd.img-${version} is missing`,
    ],
    [
      "an fstab for another root",
      ({ put }) => put("tree/etc/fstab", "UUID=x / ext4 defaults 0 1\n"),
      "fstab does not name the root",
    ],
    [
      "an fstab without a root",
      ({ put }) => put("tree/etc/fstab", `UUID=${uuid} /srv ext4 defaults 0 1\n`),
      "fstab does not name",
    ],
    ["another filesystem than root= names", ({ put }) => put("disk", Buffer.alloc(2 ** 20)), "leads nowhere"],
    [
      "no GRUB menu",
      ({ root }) => rmSync(join(root, "boot/grub/grub.cfg")),
      "GRUB's menu /boot/grub/grub.cfg is missing",
    ],
    [
      "a GRUB menu for another root",
      ({ put }) => put("tree/boot/grub/grub.cfg", `${uuid}\nlinux /vmlinuz root=x\n`),
      "GRUB's menu does not name the root",
    ],
    [
      "a GRUB menu on another filesystem",
      ({ put }) => put("tree/boot/grub/grub.cfg", `linux /vmlinuz x\n`),
      "the filesystem of /boot",
    ],
    [
      "a GRUB menu of nothing",
      ({ put }) => put("tree/boot/grub/grub.cfg", `${uuid}\n`),
      "GRUB's menu starts no kernel",
    ],
    [
      "no link for GRUB",
      ({ root }) => rmSync(join(root, "vmlinuz")),
      "/vmlinuz is not the link that GRUB's menu needs",
    ],
    [
      "a link that leads nowhere",
      ({ root }) => {
        rmSync(join(root, "initrd.img"));
        symlinkSync("boot/initrd.img-gone", join(root, "initrd.img"));
      },
      "/boot/initrd.img-gone is missing",
    ],
    ["a broken ESP", ({ esp }) => rmSync(join(esp, "EFI"), { recursive: true }), "missing on the ESP"],
    [
      "an ESP without room for the next kernel",
      ({ put }) => put("esp/big", Buffer.alloc(60 * 2 ** 20)),
      "the ESP has 1 MiB left, and the next kernel will take 4 MiB",
    ],
  ])("refuses %s", async (_what, damage, message) => {
    const made = machine();
    damage(made);
    await expect(verify(made, made.wanted)).rejects.toThrow(message);
  });

  it("refuses a command line without a root, or with that of another filesystem", async () => {
    const made = machine();
    await expect(verify(made, { ...made.wanted, cmdline: ["ro"] })).rejects.toThrow(
      "names no root filesystem",
    );
    const other = ["root=UUID=00000000-0000-4000-8000-000000000000"];
    await expect(verify(made, { ...made.wanted, cmdline: other })).rejects.toThrow(
      "and the root filesystem has the UUID",
    );
  });

  it("refuses an initramfs that does not reach the root", async () => {
    const made = machine();
    await expect(verify(made, { ...made.wanted, modules: ["ext4", "dm_crypt"] })).rejects.toThrow(
      "the module dm_crypt",
    );
    await expect(verify(made, made.wanted, "init\n")).rejects.toThrow("the module ext4");
  });

  it("finds the links beside the kernels where /boot is a filesystem of its own", async () => {
    const made = machine();
    const wanted: Wanted = { ...made.wanted, menu: { uuid, linksIn: "/boot" } };
    await expect(verify(made, wanted)).rejects.toThrow("/boot/vmlinuz is not the link");
    for (const name of ["vmlinuz", "initrd.img"])
      symlinkSync(`${name}-${version}`, join(made.root, "boot", name));
    await verify(made, wanted);
  });
});
