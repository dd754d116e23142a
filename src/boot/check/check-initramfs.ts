import { Fail } from "../../util/fail.ts";

/** Any one of these lets a kernel reach a disk. */
const diskDrivers = [
  ...[
    "virtio_blk",
    "virtio_scsi",
    "nvme",
    "ahci",
    "ata_piix",
    "sd_mod",
    "mmc_block",
    "usb_storage",
    "xen_blkfront",
  ],
  ...["hv_storvsc", "vmw_pvscsi", "megaraid_sas", "mpt3sas"],
];

/** What an initramfs holds: names of modules, with `_` for `-`, and paths of everything. */
interface InitramfsContent {
  readonly modules: ReadonlySet<string>;
  readonly paths: ReadonlySet<string>;
}

/** From what lsinitramfs(8) prints, and the kernel's own list of what is built into it. */
export function initramfsContent(listing: string, builtin: string): InitramfsContent {
  const paths = new Set(listing.split("\n").map((line) => line.replace(/^\.?\//, "")));
  const names = [...paths, ...builtin.split("\n")].flatMap(
    (path) => /([^/]+)\.ko(?:\.\w+)?$/.exec(path)?.[1] ?? [],
  );
  return { modules: new Set(names.map(moduleName)), paths };
}

/** Refuses an initramfs that would not get to the root filesystem. */
export function checkInitramfs(
  content: InitramfsContent,
  wanted: {
    readonly version: string;
    readonly modules: readonly string[];
    readonly programs: readonly string[];
    /** Drivers of the machine's network cards, where the root needs the network: one of them is enough. */
    readonly cards?: readonly string[];
  },
): void {
  const { version } = wanted;
  const hint =
    "look at /etc/initramfs-tools and at the packages that add to an initramfs (cryptsetup-initramfs, mdadm, lvm2)";
  const refuse = (what: string) => new Fail(`the initramfs of ${version} ${what}`, { hint });
  if (![...content.paths].some((path) => /^(usr\/)?(s?bin\/)?init$/.test(path)))
    throw refuse("holds no /init");
  const missing = wanted.modules.filter((name) => !content.modules.has(moduleName(name)));
  if (missing.length > 0)
    throw refuse(`lacks what the root filesystem needs: the module ${missing.join(", ")}`);
  if (!diskDrivers.some((name) => content.modules.has(name))) throw refuse("has no driver for any disk");
  const { cards = [] } = wanted;
  if (cards.length > 0 && !cards.some((name) => content.modules.has(moduleName(name))))
    throw refuse(`has no driver for any network card of this machine (${cards.join(", ")})`);
  const gone = wanted.programs.filter(
    (name) => ![...content.paths].some((path) => path.endsWith(`bin/${name}`)),
  );
  if (gone.length > 0) throw refuse(`lacks what opens the root filesystem: ${gone.join(", ")}`);
}

function moduleName(name: string): string {
  return name.replaceAll("-", "_");
}
