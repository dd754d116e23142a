import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { loaderEntry } from "../../src/boot/loader.ts";
import type { StepContext } from "../../src/steps/step.ts";
import { verifyBoot } from "../../src/steps/verify-boot.ts";
import { silentLog } from "../../src/util/log.ts";
import { efiProgram } from "../helpers/pe.ts";
import { tempDir } from "../helpers/temp-dir.ts";

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
  return { dir, root, esp, put, wanted };
}

type Made = ReturnType<typeof machine>;

async function verify({ root }: Made, wanted: Wanted, list = listing): Promise<void> {
  const chroot = async (argv: readonly string[]) => {
    expect(argv).toEqual(["lsinitramfs", `/boot/initrd.img-${version}`]);
    return { code: 0, stdout: list, stderr: "" };
  };
  const context = { root, log: silentLog, chroot } as unknown as StepContext;
  await verifyBoot.run!(verifyBoot.schema.parse(wanted), context);
}

describe("verify-boot", () => {
  it("is content with a machine on which everything is there", async () => {
    const made = machine();
    await verify(made, made.wanted);
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
    const partition = {
      disk: { name: "system", serial: "S", sizeBytes: 2 ** 30 },
      ...{ number: 1, startBytes: 2 ** 20, sizeBytes: 2 ** 20 },
    };
    const salt = "ab".repeat(32);
    const verity = { data: partition, tree: partition, uuid, salt, file: join(made.dir, "hash") };
    const mapped = { ...made.wanted, verity, cmdline: ["root=/dev/mapper/root", "ro"] };
    await expect(verify(made, { ...made.wanted, verity })).rejects.toThrow(
      /is \/dev\/mapper\/root; the kernel/,
    );
    await expect(verify(made, mapped)).rejects.toThrow(/and fstab says UUID=/);
    made.put("tree/etc/fstab", "/dev/mapper/root / ext4 ro 0 0\n");
    await expect(verify(made, mapped)).rejects.toThrow("names no systemd.verity_root_data");
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
