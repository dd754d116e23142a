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
import { keepRescue } from "../../steps/boot/keep-rescue.ts";
import { switchEntry } from "../../steps/boot/switch-entry.ts";
import { writeRescue } from "../../steps/boot/write-rescue.ts";
import { stepData } from "../../steps/step/step.ts";
import { filesystemOf, type Mounted, mountsOf } from "../../storage/graph/check-storage.ts";
import { laidOn } from "../../storage/size/fit.ts";
import { placeKey, roomsOf } from "../../storage/size/room.ts";
import { uuidOf } from "../../storage/system/fstab.ts";
import { Fail } from "../../util/fail.ts";
import { lastingDirectories, unfitForBase } from "../check/check-rescue.ts";
import { type Finding, go, noGo } from "../inspect/finding.ts";
import { needsOf } from "../inspect/needs.ts";
import { type BaseFiles, cacheDir } from "../takeover/takeover.ts";
import { administratorKeys, usualPort } from "../unlock/by-ssh.ts";

/** What FAT takes of a partition itself, and what is not counted one by one. */
const ownShare = 0.98;
const slackBytes = 2 * 2 ** 20;
/** Of the root filesystem: what packages unpack to at least, in multiples of their files. */
const unpackedLeast = 1.5;
const roomHint = "make that filesystem larger, or leave `rescue` out of `boot`";

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
  /** From there the base starts later too: it is the machine's rescue system. */
  readonly stays: boolean;
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
    const cached = { directory: `${cacheDir}/${base.digest}`, isCache: true, stays: false };
    const onBoot = { directory: `/boot${rescueDirectory}`, isCache: false, stays: false };
    return firstWithRoom(inputs, storage, "grub", lasting(spec, "bios") ?? [cached, onBoot]);
  }
  if (facts.secureBoot === true)
    return { reason: "Secure Boot is on, and refuses the loader that the base has at hand" };
  if (typeof boot.secureBoot === "object")
    return { reason: "with Secure Boot keys of its own the machine starts what they have signed alone" };
  if (boot.loader === "grub")
    return { reason: "GRUB for UEFI comes with the packages, after the first write" };
  const directory = `${kernelsMount(spec)}${rescueDirectory}`;
  const usual = [{ directory, isCache: false, stays: false }];
  return firstWithRoom(inputs, storage, "systemd-boot", lasting(spec, "uefi") ?? usual);
}

/** Places from which it starts later too, where the definition wants that. */
function lasting(spec: Spec, firmware: "bios" | "uefi") {
  if (!spec.boot?.rescue) return undefined;
  return lastingDirectories(spec, firmware).map((directory) => ({ directory, isCache: false, stays: true }));
}

/** Where the base stays on the disks of an image, for each firmware that the image serves. */
export function lastingInImage(inputs: Omit<RescueInputs, "facts">): RescuePlace[] {
  const { boot } = inputs.spec;
  if (!boot?.rescue) return [];
  return boot.firmware.map((firmware) => {
    const found = rescuePlace({ ...inputs, facts: { firmware } });
    if ("reason" in found)
      throw new Fail(`the base has no place as rescue system of this image: ${found.reason}`, {
        hint: roomHint,
      });
    return found;
  });
}

/** What a plan says of it. */
export function lastingFindings(inputs: RescueInputs): Finding[] {
  if (!inputs.spec.boot?.rescue) return [];
  const found = rescuePlace(inputs);
  if ("reason" in found)
    return [noGo("rescue", `the base cannot stay as rescue system: ${found.reason}`, roomHint)];
  const where = `${found.directory} (${mib(keptBytes(inputs.base))})`;
  const menu = found.loader === "grub" ? "GRUB's menu" : "systemd-boot's menu";
  return [go("rescue", `the base stays in ${where}, with an entry in ${menu}`)];
}

/** What the plan says of it, in a line. */
export function rescueLine(rescue: Rescue): string {
  return "reason" in rescue
    ? `during the build it leaves nothing that starts: ${rescue.reason}`
    : `during the build: the base starts from ${shown(rescue)}, and the build is resumed${rescue.stays ? "; it stays there" : ""}`;
}

function firstWithRoom(
  inputs: RescueInputs,
  storage: Storage,
  loader: RescuePlace["loader"],
  places: readonly Pick<RescuePlace, "directory" | "isCache" | "stays">[],
): Rescue {
  const reasons: string[] = [];
  for (const place of places) {
    const { on, inner } = filesystemOf(storage, place.directory);
    const reason = unfit(inputs, storage, { loader, stays: place.stays }, on);
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
  { loader, stays }: Pick<RescuePlace, "loader" | "stays">,
  on: Mounted,
): string | undefined {
  const never = unfitForBase(storage, loader === "grub" ? "bios" : "uefi", on);
  if (never !== undefined) return never;
  const { held } = roomsOf(storage, laidOn(storage, disks));
  const has = held.get(placeKey(on.place))?.bytes;
  const kernels = needsOf(spec, lock).kernels.find(({ on: place }) => place === partitionOf(on.mount));
  const packages =
    on.mount === "/" ? unpackedLeast * lock.packages.reduce((sum, { size }) => sum + size, 0) : 0;
  const whileBuilt = baseBytes(base) + (kernels?.least ?? packages);
  // What stays must leave room for the kernels that apt brings.
  const later = stays ? keptBytes(base) + (kernels?.usual ?? packages) : 0;
  const needed = Math.max(whileBuilt, later);
  if (has === undefined) return "is of an unknown size";
  if (has * ownShare >= needed) return undefined;
  return `has ${mib(has)}, and base and system take ${mib(needed)}`;
}

function partitionOf(mount: string): string {
  return mount === "/efi" ? "esp" : mount === "/xbootldr" ? "xbootldr" : mount;
}

/** The base, and once more what it carries of itself. */
function baseBytes({ kernel, outer, squashfs, kit }: BaseFiles): number {
  return 2 * (kernel.size + outer.size + kit.size) + squashfs.size + slackBytes;
}

/** What of it stays. */
function keptBytes({ kernel, outer, squashfs }: BaseFiles): number {
  return kernel.size + outer.size + squashfs.size;
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
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
        files: baseFiles(base, names),
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
        remove:
          place.isCache || place.stays ? [entry, `${place.directory}/carried`] : [entry, place.directory],
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

/** The step that leaves it there. `where`: how the loader's filesystem is seen; `cmdline`: of an image. */
export function lastingStep(
  place: RescuePlace,
  { spec, base }: Pick<RescueInputs, "spec" | "base">,
  seed: string,
  where: { readonly on: string; readonly cmdline?: readonly string[] | undefined },
): StepData {
  const { hostname, sshd } = spec;
  const isGrub = place.loader === "grub";
  // A tunnel's keys are secrets.
  const network = Object.entries(spec.network).filter(([, { device }]) => device?.kind !== "wireguard");
  return stepData(keepRescue, `leaving the base in ${place.directory} as rescue system`, {
    ...(isGrub ? { directory: place.directory } : { on: where.on, directory: place.seen }),
    files: baseFiles(base, ["kernel", "outer", "squashfs"]),
    data: { version: 1, hostname, network: Object.fromEntries(network) },
    keys: [...administratorKeys(spec)],
    port: sshd?.ports?.[0] ?? usualPort,
    entry: isGrub
      ? { loader: "grub", uuid: uuidOf(place.on, seed), directory: place.seen }
      : { loader: "systemd-boot", directory: place.seen },
    ...(where.cmdline === undefined ? {} : { cmdline: [...where.cmdline] }),
  });
}

function baseFiles(base: BaseFiles, names: readonly ("kernel" | "outer" | "squashfs" | "kit")[]) {
  return names.map((name) => ({ name, size: base[name].size, sha256: base[name].sha256 }));
}
