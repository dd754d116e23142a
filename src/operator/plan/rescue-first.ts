import { kernelsMount, loaderConfig } from "../../boot/loader.ts";
import {
  grubSwitch,
  loaderSwitch,
  rescueDirectory,
  rescueEntryPath,
  rescueMenuName,
  rescuingMenu,
} from "../../boot/rescue-entry.ts";
import type { DiskFacts, Facts } from "../../schema/facts.ts";
import type { Lock } from "../../schema/lock.ts";
import type { StepData } from "../../schema/plan.ts";
import type { Spec } from "../../schema/spec.ts";
import type { Storage } from "../../schema/storage.ts";
import { switchEntry } from "../../steps/boot/switch-entry.ts";
import { writeRescue } from "../../steps/boot/write-rescue.ts";
import { stepData } from "../../steps/step/step.ts";
import { filesystemOf, type Mounted, mountsOf } from "../../storage/graph/check-storage.ts";
import { laidOn } from "../../storage/size/fit.ts";
import { placeKey, roomsOf } from "../../storage/size/room.ts";
import { uuidOf } from "../../storage/system/fstab.ts";
import { unreadByGrub } from "../check/boot-place.ts";
import { needsOf } from "../inspect/needs.ts";
import { type BaseFiles, cacheDir } from "../takeover/takeover.ts";

/** What FAT takes of a partition itself, and what is not counted one by one. */
const ownShare = 0.98;
const slackBytes = 2 * 2 ** 20;
/** Of the root filesystem: what packages unpack to at least, in multiples of their files. */
const unpackedLeast = 1.5;

/** Where the base is written before the new system, and how the machine starts it. */
export interface RescuePlace {
  readonly loader: "grub" | "systemd-boot";
  /** The filesystem. */
  readonly on: Mounted;
  /** In the tree, and as the loader sees it on that filesystem. */
  readonly directory: string;
  readonly seen: string;
  /** It is where the base is kept for the next deploy anyway. */
  readonly isCache: boolean;
}

/** Or why a power cut during the build leaves nothing that starts. */
export type Rescue = RescuePlace | { readonly reason: string };

export interface RescueInputs {
  readonly spec: Spec;
  readonly lock: Lock;
  readonly base: BaseFiles;
  /** Secure Boot as it is while the deploy runs. */
  readonly facts: Pick<Facts, "firmware"> & Partial<Pick<Facts, "secureBoot">>;
  readonly disks: Readonly<Record<string, DiskFacts>>;
}

/** Decides by the layout alone: the first place that the machine's bootloader can read and that has room. */
export function rescuePlace(inputs: RescueInputs): Rescue {
  const { spec, base, facts } = inputs;
  const { boot, storage } = spec;
  if (boot === undefined || storage === undefined) return { reason: "the definition has no bootloader" };
  if (facts.firmware === "bios") {
    const cached = { directory: `${cacheDir}/${base.digest}`, isCache: true };
    const onBoot = { directory: `/boot${rescueDirectory}`, isCache: false };
    return firstWithRoom(inputs, storage, "grub", [cached, onBoot]);
  }
  if (facts.secureBoot === true)
    return { reason: "Secure Boot is on, and refuses the loader that the base has at hand" };
  if (typeof boot.secureBoot === "object")
    return { reason: "with Secure Boot keys of its own the machine starts what they have signed alone" };
  if (boot.loader === "grub")
    return { reason: "GRUB for UEFI comes with the packages, after the first write" };
  const directory = `${kernelsMount(spec)}${rescueDirectory}`;
  return firstWithRoom(inputs, storage, "systemd-boot", [{ directory, isCache: false }]);
}

/** What the plan says of it, in a line. */
export function rescueLine(rescue: Rescue): string {
  return "reason" in rescue
    ? `during the build it leaves nothing that starts: ${rescue.reason}`
    : `during the build: the base starts from ${shown(rescue)}, and the build is resumed`;
}

function firstWithRoom(
  inputs: RescueInputs,
  storage: Storage,
  loader: RescuePlace["loader"],
  places: readonly Pick<RescuePlace, "directory" | "isCache">[],
): Rescue {
  const reasons: string[] = [];
  for (const place of places) {
    const { on, inner } = filesystemOf(storage, place.directory);
    const reason = unfit(inputs, storage, loader, on);
    if (reason === undefined) {
      const top = on.subvolume === undefined ? "" : `/${on.subvolume}`;
      return { ...place, loader, on, seen: `${top}${inner}` };
    }
    const why = `${on.mount} ${reason}`;
    if (!reasons.includes(why)) reasons.push(why);
  }
  return { reason: reasons.join("; ") };
}

function unfit(
  { spec, lock, base, disks }: RescueInputs,
  storage: Storage,
  loader: RescuePlace["loader"],
  on: Mounted,
): string | undefined {
  if (on.kept) return "is kept, and not mounted while the system is built";
  if (on.verity) return "is verified, so nothing is removed from it later";
  const unread = loader === "grub" ? unreadByGrub(storage, on.mount) : undefined;
  if (unread !== undefined) return `is ${unread}, where GRUB cannot read it`;
  const { held } = roomsOf(storage, laidOn(storage, disks));
  const has = held.get(placeKey(on.place))?.bytes;
  const kernels = needsOf(spec, lock).kernels.find(({ on: place }) => place === partitionOf(on.mount));
  const others =
    kernels?.least ??
    (on.mount === "/" ? unpackedLeast * lock.packages.reduce((sum, { size }) => sum + size, 0) : 0);
  const needed = baseBytes(base) + others;
  if (has === undefined) return "is of an unknown size";
  if (has * ownShare >= needed) return undefined;
  const mib = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  return `has ${mib(has)}, and base and system take ${mib(needed)}`;
}

function partitionOf(mount: string): string {
  return mount === "/efi" ? "esp" : mount === "/xbootldr" ? "xbootldr" : mount;
}

/** The base, and once more what it carries of itself. */
function baseBytes({ kernel, outer, squashfs, kit }: BaseFiles): number {
  return 2 * (kernel.size + outer.size + kit.size) + squashfs.size + slackBytes;
}

/** First and last of a build: the base is written and started, then the new system is. */
export function rescueSteps(
  place: RescuePlace,
  { spec, base }: Pick<RescueInputs, "spec" | "base">,
  seed: string,
  menu: string,
): { readonly first: StepData[]; readonly last: StepData[] } {
  const storage = spec.storage!;
  const on = mounted(place.on);
  const isGrub = place.loader === "grub";
  const configOn = mounted(filesystemOf(storage, isGrub ? "/boot" : "/efi").on);
  const path = isGrub ? "/boot/grub/grub.cfg" : "/efi/loader/loader.conf";
  const { rescue: from, system: to } = isGrub ? grubSwitch : loaderSwitch;
  const content = isGrub
    ? rescuingMenu(menu)
    : loaderConfig(spec.boot!.menuTimeoutSeconds, undefined, loaderSwitch.rescue);
  const entry = isGrub ? `/boot/grub/${rescueMenuName}` : `${place.on.mount}/${rescueEntryPath}`;
  const names = ["kernel", "outer", "squashfs", ...(place.isCache ? (["kit"] as const) : [])] as const;
  return {
    first: [
      stepData(writeRescue, `writing the base to ${shown(place)}, to be started after a power cut`, {
        directory: place.directory,
        on,
        files: names.map((name) => ({ name, size: base[name].size, sha256: base[name].sha256 })),
        config: { path, on: configOn, content },
        entry: isGrub
          ? { loader: "grub", uuid: uuidOf(place.on, seed), directory: place.seen, path: entry }
          : { loader: "systemd-boot", directory: place.seen, entries: place.on.mount, esp: configOn },
      }),
    ],
    last: [
      stepData(switchEntry, "flushing everything, and letting the machine start the new system", {
        flush: mountsOf(storage)
          .filter(({ kept, verity }) => !kept && !verity)
          .map(mounted),
        config: { path, on: configOn, from, to },
        wipe: `${place.directory}/deploy`,
        remove: place.isCache ? [entry, `${place.directory}/carried`] : [entry, place.directory],
        on,
      }),
    ],
  };
}

function shown({ isCache, directory }: RescuePlace): string {
  return isCache ? cacheDir : directory;
}

function mounted({ type, mount }: Mounted) {
  return { type, path: mount };
}
