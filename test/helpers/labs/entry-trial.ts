import { chmod, copyFile, cp, mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { debianLoaders, mediaLoaders } from "../../../src/boot/efi-files.ts";
import { baseTree, buildBase } from "../../../src/operator/base/base.ts";
import { ownName } from "../../../src/operator/takeover/ways/boot-entry.ts";
import type { GptPartition } from "../../../src/operator/takeover/ways/load-option.ts";
import type { Way } from "../../../src/operator/takeover/ways/way.ts";
import { cacheRoot } from "../../../src/system/files/cache.ts";
import { run } from "../../../src/system/run/run.ts";
import { type Machine, openLab } from "../../../src/testing/index.ts";
import { silentLog } from "../../../src/util/log.ts";

const mib = 2 ** 20;
const sector = 512;
/** The disk's only partition: an ESP. */
export const esp: GptPartition = {
  number: 1,
  uuid: "a1b2c3d4-e5f6-4789-abcd-0123456789ab",
  startSector: 2048,
  sectors: (120 * mib) / sector,
};
/** Of the base in a trial: it says on the console that it runs, and restarts. */
const words = ["console=ttyS0", "panic=3", "trial=base"];

/** The way by its own words, without what ends the old system; `$vars` and the like are the host's. */
const arming = (way: Way) => way.jump.text.split("\nsync\n")[0]!;

interface Trial {
  /** What starts the old system, and then the entry. */
  readonly loader: "systemd-boot" | "grub";
  readonly firmware: "uefi" | "secure-boot";
  readonly way: Way;
  /** What the old system does, as shell; `$words` are for the base's kernel. Default: it arms the way's entry, and restarts. */
  readonly old?: string;
  /** The entry is armed on the disk to begin with. */
  readonly armed?: { readonly name: string; readonly content: string };
}

/**
 * A machine whose old system and base are BusyBox in an initramfs of the base's kernel: no more than what shows which of them a bootloader
 * starts, and how often. Both say so on the console, and restart.
 */
export async function entryTrial(trial: Trial, work: (machine: Machine) => Promise<void>): Promise<void> {
  const lab = await openLab();
  try {
    const disk = join(lab.directory, "disk.raw");
    await makeDisk(trial, disk, lab.directory);
    const machine = await lab.machine({
      ...{ name: "entry", firmware: trial.firmware, memoryMib: 768, shell: false },
      disks: [{ file: { file: disk, format: "raw" }, serial: "TRIAL" }],
    });
    await machine.start();
    await work(machine);
  } finally {
    await lab.close();
  }
}

async function makeDisk({ loader, way, old, armed }: Trial, disk: string, directory: string): Promise<void> {
  const options = {
    ...{ cache: cacheRoot(process.env), env: process.env, log: silentLog },
    signal: new AbortController().signal,
  };
  const [{ tree }, base] = [await baseTree(options), await buildBase(options)];
  const entry = way.entry(words);
  const baseImage = await initramfs(tree, join(directory, "base"), {
    init: `exec >/dev/console 2>&1
echo "trial: the base runs, lockdown $(cat /sys/kernel/security/lockdown), $(cat /proc/cmdline)"
sleep 1; reboot -f`,
  });
  const oldImage = await initramfs(tree, join(directory, "old"), {
    init: `exec >/dev/ttyS0 2>&1
words='${words.join(" ")}'
insmod /efivarfs.ko && mount -t efivarfs efivarfs /sys/firmware/efi/efivars
echo "trial: the old system runs, lockdown $(cat /sys/kernel/security/lockdown)"
${old ?? "sh /arm.sh /tmp /tmp/trigger /esp && echo 'trial: armed'"}
sleep 1; reboot -f`,
    "arm.sh": arming(way),
    kernel: base.kernel.path,
    "base.img": baseImage,
    kit: base.kit.path,
    ...(way.at.length === 0 ? {} : { option: entry }),
  });
  await truncate(await emptied(disk), 124 * mib);
  await run(["sfdisk", "--quiet", disk], {
    stdin: `label: gpt\nstart=${esp.startSector}, size=${esp.sectors}, type=uefi, uuid=${esp.uuid}\n`,
  });
  const kib = (esp.sectors * sector) / 1024;
  await run(["mkfs.vfat", "-F", "32", `--offset=${esp.startSector}`, disk, String(kib)]);
  const content = join(directory, "esp");
  const put = async (path: string, bytes: string | { readonly from: string }) => {
    const to = join(content, path);
    await mkdir(join(to, ".."), { recursive: true });
    await (typeof bytes === "string" ? writeFile(to, bytes) : copyFile(bytes.from, to));
  };
  const place = loader === "grub" ? "EFI/debian" : "";
  await put("kernel", { from: base.kernel.path });
  await put("old.img", { from: oldImage });
  await put(join(place, ownName, "kernel"), { from: base.kernel.path });
  await put(join(place, ownName, "initrd"), { from: baseImage });
  if (armed !== undefined) await put(join(place, ownName, armed.name), armed.content);
  if (loader === "grub") {
    await put("EFI/BOOT/BOOTX64.EFI", { from: join(tree, debianLoaders.shim) });
    await put(mediaLoaders.besideShim, { from: join(tree, debianLoaders.grub) });
    await put("EFI/debian/grub.cfg", grubConfig);
    if (armed !== undefined) await put("EFI/debian/custom.cfg", `${entry}\n`);
  } else {
    await put("EFI/BOOT/BOOTX64.EFI", { from: join(tree, debianLoaders.systemdBoot) });
    await put("loader/loader.conf", "timeout 0\ndefault old.conf\n");
    await put(
      "loader/entries/old.conf",
      "title old\nlinux /kernel\ninitrd /old.img\noptions console=ttyS0\n",
    );
    if (!entry.startsWith("\\")) await put(`loader/entries/${ownName}.conf`, `${entry}\n`);
  }
  const at = ["-i", `${disk}@@${esp.startSector * sector}`];
  await run(["sh", "-c", 'cd "$1"; shift; exec mcopy -s "$@" * ::/', "sh", content, ...at]);
}

/** As of Debian's grub-mkconfig: what reads custom.cfg, at the end. */
const grubConfig = `set default=0
set timeout=1
menuentry old {
  linux /kernel console=ttyS0
  initrd /old.img
}
if [ -f  \${config_directory}/custom.cfg ]; then
  source \${config_directory}/custom.cfg
elif [ -z "\${config_directory}" -a -f  $prefix/custom.cfg ]; then
  source $prefix/custom.cfg
fi
`;

async function emptied(file: string): Promise<string> {
  await writeFile(file, "");
  return file;
}

/** BusyBox with a program for PID 1, and other files: texts, or copies where they are absolute paths. */
async function initramfs(
  tree: string,
  root: string,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const image = `${root}.img`;
  for (const name of ["bin", "tmp", `esp/${ownName}`]) await mkdir(join(root, name), { recursive: true });
  await cp(join(tree, "usr/bin/busybox"), join(root, "bin/busybox"));
  await cp(join(root, "bin/busybox"), join(root, "bin/sh"));
  const modules = await run([
    "sh",
    "-c",
    'echo "$1"/usr/lib/modules/*/kernel/fs/efivarfs/efivarfs.ko.xz',
    "sh",
    tree,
  ]);
  await run(["sh", "-c", 'xz -dc "$1" > "$2"', "sh", modules.stdout.trim(), join(root, "efivarfs.ko")]);
  for (const [name, content] of Object.entries(files)) {
    const to = name === "option" ? join(root, "esp", ownName, name) : join(root, name);
    if (content.startsWith("/")) await copyFile(content, to);
    else if (name === "option") await run(["sh", "-c", 'printf "$1" > "$2"', "sh", content, to]);
    else await writeFile(to, name === "init" ? `${begin}${content}\n` : content);
  }
  await chmod(join(root, "init"), 0o755);
  await run([
    "sh",
    "-c",
    'cd "$1" && find . | cpio --create --format=newc --quiet > "$2"',
    "sh",
    root,
    image,
  ]);
  await rm(root, { recursive: true });
  return image;
}

const begin = `#!/bin/sh
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mount -t securityfs securityfs /sys/kernel/security
`;
