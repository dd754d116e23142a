import { mkdir, truncate, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { debianLoaders, mediaLoaders, onEsp } from "../../boot/efi-files.ts";
import { fixedTimeEnv } from "../../disks/filesystem/mkfs.ts";
import { toolRun } from "../../system/door/chroot.ts";
import { onlyArchitecture } from "../../tables/architecture.ts";
import { Tree } from "../../tree/tree.ts";
import { uuidFrom } from "../../util/digest.ts";
import { embeddedSearch } from "./menu.ts";

/** A few GiB, to a slow disk. */
const writeMs = 1_800_000;
const toolMs = 120_000;
/** FAT16 with one sector a cluster: the least that shim, its key manager and GRUB have room in. */
const espBytes = 6 * 2 ** 20;
/** Where tools see the work directory and the base: a path of a user's may have what xorriso gives a meaning to. */
const inside = "/work";
const insideBase = "/base";
const { grub } = onlyArchitecture;

/** GRUB for BIOS: all that its menu needs, so that no module is read from the medium. */
const biosModules = [
  ...["biosdisk", "iso9660", "part_gpt", "part_msdos", "search", "search_label", "normal", "linux"],
  ...["configfile", "echo", "test", "serial", "terminal", "sleep", "reboot", "halt"],
];

/** A file of the medium: its path there, and its name in the work directory, or in that of the base. */
export interface MediumSource {
  readonly path: string;
  readonly name: string;
  readonly ofBase?: boolean;
}

/** A hybrid ISO, in the work directory too: from disc and, copied to it whole, from a USB disk; by BIOS, by UEFI and with Secure Boot. */
export async function makeIso(
  sources: readonly MediumSource[],
  to: string,
  about: {
    readonly menu: string;
    readonly volume: string;
    readonly epoch: number;
    /** The base's tree, whose tools make it, and the directory of what is packed of it. */
    readonly tree: string;
    readonly base: string;
    readonly work: string;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { menu, volume, epoch, tree, base, work, signal } = about;
  const stage = join(work, "boot");
  await mkdir(stage);
  await writeFile(join(stage, "grub.cfg"), menu);
  await writeFile(join(stage, "embedded.cfg"), embeddedSearch(volume));
  const binds = [
    { from: work, to: inside },
    { from: base, to: insideBase, readOnly: true },
  ];
  const tool = (argv: readonly string[], timeoutMs = toolMs) =>
    toolRun(tree, argv, { binds, timeoutMs, signal, env: fixedTimeEnv(epoch) });
  const id = uuidFrom(volume, "medium");
  await makeEsp(tree, stage, id.slice(0, 8), tool);
  await tool(biosImageArgv(`${inside}/boot`));
  const own = [
    { path: "boot/grub/grub.cfg", name: "boot/grub.cfg" },
    { path: biosImage, name: "boot/bios.img" },
  ];
  await tool(isoArgv([...own, ...sources], { name: basename(to), volume, id, epoch }), writeMs);
}

const biosImage = "boot/grub/bios.img";

export function biosImageArgv(stage: string): string[] {
  return [
    ...["grub-mkimage", "--format", `${grub.bios}-eltorito`, "--prefix", "/boot/grub"],
    ...["--directory", `/usr/lib/grub/${grub.bios}`, "--config", `${stage}/embedded.cfg`],
    ...["--output", `${stage}/bios.img`, ...biosModules],
  ];
}

/**
 * A GPT whose protective entry is marked bootable, with GRUB's code before it for BIOS from USB; El Torito for discs; and the ESP as a
 * partition after the filesystem, which both UEFI ways start from. Times and identifiers come of SOURCE_DATE_EPOCH and the volume.
 */
export function isoArgv(
  files: readonly MediumSource[],
  {
    name: made,
    volume,
    id,
    epoch,
  }: { readonly name: string; readonly volume: string; readonly id: string; readonly epoch: number },
): string[] {
  const esp = "28732ac11ff8d211ba4b00a0c93ec93b";
  const data = "a2a0d0ebe5b9334487c068b6b72699c7";
  return [
    ...[
      "xorriso",
      "-no_rc",
      "-report_about",
      "WARNING",
      "-as",
      "mkisofs",
      "-rational-rock",
      "-iso-level",
      "3",
    ],
    // SOURCE_DATE_EPOCH alone leaves files the times that they have here.
    ...["-volid", volume, "--set_all_file_dates", `=${epoch}`, "-output", `${inside}/${made}`],
    ...["--grub2-mbr", `/usr/lib/grub/${grub.bios}/boot_hybrid.img`, "--protective-msdos-label"],
    ...["--mbr-force-bootable", "-partition_offset", "16", "-partition_cyl_align", "off"],
    ...["--gpt_disk_guid", id, "-iso_mbr_part_type", data],
    ...["-append_partition", "2", esp, `${inside}/boot/esp.img`, "-appended_part_as_gpt"],
    ...["-c", "boot/grub/boot.cat", "-b", biosImage, "-no-emul-boot", "-boot-load-size", "4"],
    ...["-boot-info-table", "--grub2-boot-info"],
    ...["-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot"],
    "-graft-points",
    ...files.map(({ path, name, ofBase }) => `${path}=${ofBase ? insideBase : inside}/${name}`),
  ];
}

/** shim at the path that firmware starts unasked, GRUB beside it, and the menu, which GRUB looks for on the filesystem it came from. */
async function makeEsp(
  tree: string,
  stage: string,
  volumeId: string,
  tool: (argv: readonly string[]) => Promise<unknown>,
): Promise<void> {
  const image = `${inside}/boot/esp.img`;
  const files = [
    [debianLoaders.shim, onEsp.removable],
    [mediaLoaders.medium, mediaLoaders.besideShim],
    [debianLoaders.mokManager, mediaLoaders.mokBesideShim],
  ] as const;
  const copies = files.map(([from, to], index) => {
    new Tree(tree).copyOut(from, join(stage, `efi${index}`));
    return ["mcopy", "-i", image, "-o", `${inside}/boot/efi${index}`, `::/${to}`];
  });
  await writeFile(join(stage, "esp.img"), "");
  await truncate(join(stage, "esp.img"), espBytes);
  await tool(["mkfs.vfat", "-F", "16", "-s", "1", "--invariant", "-i", volumeId, image]);
  const parents = [...new Set([...files.map(([, to]) => to), "boot/grub/grub.cfg"].flatMap(parentsOf))];
  await tool(["mmd", "-i", image, ...parents.map((path) => `::/${path}`)]);
  for (const copy of copies) await tool(copy);
  await tool(["mcopy", "-i", image, "-o", `${inside}/boot/grub.cfg`, "::/boot/grub/grub.cfg"]);
}

function parentsOf(path: string): string[] {
  const parent = dirname(path);
  return parent === "." ? [] : [...parentsOf(parent), parent];
}
