import type { BootPlace, Facts } from "../../../schema/facts.ts";
import { firmwareEntry } from "./firmware.ts";
import { grubEntry } from "./grub.ts";
import { kexec, kexecFile } from "./kexec.ts";
import type { GptPartition } from "./load-option.ts";
import { cacheReserveMib, fitsOnDisk, memoryNeeds, oldSystemMib } from "./memory.ts";
import { systemdBootEntry } from "./systemd-boot.ts";
import { type Way, type WayName, wayNames } from "./way.ts";

/** Kernel and outer archive are in the initramfs once more, and the deploy's own data is. */
const entryExtraMib = 32;
const mib = 2 ** 20;
/** Filesystems on which GRUB writes its environment block in place. */
export const writtenByGrub = ["ext2", "ext3", "ext4", "xfs", "vfat"];

export interface Chosen {
  readonly way: Way;
  /** Which it is, and why none before it. */
  readonly detail: string;
  /** What the old system must have free while the base is made ready. */
  readonly availableMib: number;
}

/** No way leads from this system into the base. */
export interface NoWay {
  readonly problem: string;
  readonly hint: string;
}

type Known = Pick<
  Facts,
  | "kexecDisabled"
  | "secureBoot"
  | "lockdown"
  | "trustsDebian"
  | "loaderInfo"
  | "bootPlaces"
  | "cmdline"
  | "disks"
  | "memoryMib"
  | "cacheMib"
>;

/**
 * Which way a deploy takes, by what is known of the host, before anything is touched; `wanted` leaves no other. The first that is
 * possible, unless memory is short for it and enough for a later one.
 */
export function chooseWay(
  facts: Known,
  about: {
    readonly baseMib: number;
    /** Of a tree that is sent. */
    readonly treeMib?: number;
    readonly wanted?: WayName | undefined;
  },
): Chosen | NoWay {
  const { baseMib, treeMib = 0, wanted } = about;

  const refusals: string[] = [];
  const possible: Chosen[] = [];
  for (const name of wanted === undefined ? wayNames : [wanted]) {
    const found = ways[name](facts, baseMib + treeMib);
    if ("not" in found) refusals.push(`not ${name}: ${found.not}`);
    else {
      const { way, shown } = found;
      const availableMib = neededMib(way, facts, { baseMib, treeMib });
      possible.push({ way, availableMib, detail: [shown, ...refusals].join("; ") });
      if (availableMib > facts.memoryMib.available)
        refusals.push(
          `not ${name}: it needs ${availableMib} MiB of memory available, and the host has ${facts.memoryMib.available}`,
        );
    }
  }
  const chosen =
    possible.find(({ availableMib }) => availableMib <= facts.memoryMib.available) ?? possible[0];
  return chosen ?? { problem: refusals.join("; "), hint: hintFor(facts, wanted) };
}

type Found = { readonly way: Way; readonly shown: string } | { readonly not: string };

const ways: Record<WayName, (facts: Known, shippedMib: number) => Found> = {
  kexec: (facts) => {
    if (facts.kexecDisabled) return { not: disabled };
    if (isLocked(facts)) return { not: `${lockOf(facts)}, so the kernel starts only what is signed` };
    return { way: kexec, shown: "kexec: allowed" };
  },
  "kexec-file": (facts) => {
    if (facts.kexecDisabled) return { not: disabled };
    if (isLocked(facts) && facts.trustsDebian !== true) return { not: untrusted };
    return { way: kexecFile, shown: "kexec-file: the host's kernel checks Debian's signature of the base's" };
  },
  "boot-entry": (facts, shippedMib) => {
    if (isLocked(facts) && facts.trustsDebian !== true) return { not: untrusted };
    const needMib = shippedMib + entryExtraMib;
    const places = (facts.bootPlaces ?? []).map((place) => ({
      place,
      not: problemOf(place, facts, needMib),
    }));
    const [good] = places.flatMap(({ place, not }) => (not === undefined ? [place] : []));
    if (good === undefined)
      return {
        not:
          places.map(({ not }) => not).join(", ") ||
          "neither GRUB's nor systemd-boot's files are in /boot, /efi or /boot/efi",
      };
    const { directory, freeMib } = good;
    const where = `${directory} (${freeMib} MiB free, ${needMib} needed)`;
    return {
      way: entryIn(good, facts),
      shown: `boot-entry: one start by the host's own ${loaderNames[good.loader]}, out of ${where}`,
    };
  },
};

function entryIn({ loader, directory }: BootPlace, facts: Known): Way {
  if (loader === "grub") return grubEntry(directory);
  if (loader === "systemd-boot") return systemdBootEntry(directory);
  return firmwareEntry(directory, partitionAt(directory, facts) as GptPartition);
}

/** The partition of a GPT that is mounted there. */
function partitionAt(directory: string, { disks }: Pick<Known, "disks">): GptPartition | undefined {
  for (const { partitions, sectorSize } of disks)
    for (const { name, partUuid, startBytes, sizeBytes, mountPoints } of partitions) {
      if (!mountPoints.includes(directory)) continue;
      // An MBR's are shorter.
      if (partUuid === undefined || !guidForm.test(partUuid)) return undefined;
      const [startSector, sectors] = [startBytes / sectorSize, sizeBytes / sectorSize];
      return { number: Number(/\d+$/.exec(name)?.[0]), uuid: partUuid, startSector, sectors };
    }
  return undefined;
}

const guidForm = /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;
const loaderNames = { grub: "GRUB", "systemd-boot": "systemd-boot", firmware: "firmware" } as const;
const disabled = "kernel.kexec_load_disabled is 1";
const untrusted = "the host trusts no key of Debian's, by which the base's kernel is signed";

function isLocked({ secureBoot, lockdown }: Pick<Known, "secureBoot" | "lockdown">): boolean {
  return secureBoot || !["none", ""].includes(lockdown);
}

function lockOf({ secureBoot, lockdown }: Pick<Known, "secureBoot" | "lockdown">): string {
  return `Secure Boot is ${secureBoot ? "on" : "off"} and lockdown ${lockdown || "none"}`;
}

/** Why an entry would not be started once from there, or not only once. */
function problemOf(
  { loader, directory, fsType, plain, freeMib, reads }: BootPlace,
  facts: Known,
  needMib: number,
): string | undefined {
  if (freeMib < needMib) return `${directory} has ${freeMib} MiB free, and ${needMib} are needed`;
  if (loader === "firmware") {
    if (facts.secureBoot) return "the firmware itself starts no kernel that Debian alone has signed";
    if (fsType !== "vfat" || partitionAt(directory, facts) === undefined)
      return `the firmware finds nothing in ${directory}, which is on ${fsType || "no filesystem"}`;
    return undefined;
  }
  const { cmdline, loaderInfo } = facts;
  const bySystemdBoot = loaderInfo?.startsWith("systemd-boot") === true;
  if (bySystemdBoot !== (loader === "systemd-boot"))
    return `${loaderNames[loader]}, whose files are in ${directory}, did not start the host`;
  if (loader === "systemd-boot" && fsType !== "vfat")
    return `${directory} is on ${fsType || "no filesystem"}`;
  if (loader === "grub") {
    if (!cmdline.some((word) => word.startsWith("BOOT_IMAGE=")))
      return "the kernel's command line does not say that GRUB started the host";
    const lacks = ["custom.cfg", "load_env"].filter((word) => !reads.includes(word));
    if (lacks.length > 0) return `${directory}/grub.cfg does not use ${lacks.join(" and ")}`;
    if (!plain || !writtenByGrub.includes(fsType))
      return `GRUB cannot write to ${directory} (${fsType || "unknown"}${plain ? "" : ", not on a partition itself"}), so it would start the entry again and again`;
  }
  return undefined;
}

/** kexec takes copies, see `memoryNeeds`; for an entry there is one, and only where no disk keeps base and tree. */
function neededMib(
  way: Way,
  { cacheMib }: Pick<Known, "cacheMib">,
  { baseMib, treeMib }: { readonly baseMib: number; readonly treeMib: number },
): number {
  const sizes = { baseBytes: baseMib * mib, treeBytes: treeMib * mib };
  const onDisk = fitsOnDisk(cacheMib, sizes);
  if (!way.throughFirmware) return memoryNeeds({ ...sizes, onDisk }).available.mib;
  const keeps = treeMib > 0 ? onDisk : cacheMib > baseMib + cacheReserveMib;
  return (keeps ? 0 : baseMib + treeMib) + oldSystemMib;
}

function hintFor(facts: Known, wanted: WayName | undefined): string {
  if (wanted !== undefined) return "without --takeover another way is taken where there is one";
  if (facts.kexecDisabled)
    return "find what sets it (/etc/sysctl.d), remove it, restart the host, and deploy again";
  return "switch Secure Boot off in the firmware for the deploy";
}
