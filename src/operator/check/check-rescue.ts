import { kernelsMount } from "../../boot/loader.ts";
import { rescueDirectory } from "../../boot/rescue-entry.ts";
import type { Spec } from "../../schema/spec.ts";
import type { Storage } from "../../schema/storage.ts";
import { filesystemOf, type Mounted } from "../../storage/graph/check-storage.ts";
import type { Problem } from "../../util/problem.ts";
import { administratorKeys } from "../unlock/by-ssh.ts";
import { unreadByGrub } from "./boot-place.ts";
import { noSecret } from "./check-credentials.ts";

type Firmware = "bios" | "uefi";

/** Where the base stays, in the order in which the places are tried. */
export function lastingDirectories(spec: Pick<Spec, "storage">, firmware: Firmware): string[] {
  if (firmware === "uefi") return [`${kernelsMount(spec)}${rescueDirectory}`];
  return [`/boot${rescueDirectory}`, `/var/lib${rescueDirectory}`];
}

/** Why a bootloader does not start the base from that filesystem, of any size, as a phrase. */
export function unfitForBase(storage: Storage, firmware: Firmware, on: Mounted): string | undefined {
  if (on.kept) return "is kept, and not mounted while the system is built";
  if (on.verity) return "is verified, so nothing is removed from it later";
  const unread = firmware === "bios" ? unreadByGrub(storage, on.mount) : undefined;
  return unread === undefined ? undefined : `is ${unread}, where GRUB cannot read it`;
}

/** Why the base cannot stay as the machine's rescue system, or not as one that somebody can log in to. */
export function rescueProblems(spec: Spec): Problem[] {
  const { boot, storage } = spec;
  if (!boot?.rescue || storage === undefined) return [];
  const path = ["boot", "rescue"];
  const { hostKey } = boot.rescue === true ? {} : boot.rescue;
  const problems: Problem[] = [];
  if (hostKey !== undefined && !Object.hasOwn(spec.secrets, hostKey))
    problems.push({ path: [...path, "hostKey"], message: noSecret(hostKey, spec) });
  if (administratorKeys(spec).length === 0)
    problems.push({
      path,
      message: "has no key to let in: needs those of `root` or of a user with `sudo: true`",
    });
  if (boot.secureBoot !== undefined)
    problems.push({
      path,
      message: "excludes `secureBoot`: the initramfs of the base is not signed by its key, nor by Debian's",
    });
  if (boot.firmware.includes("uefi") && boot.loader === "grub")
    problems.push({
      path,
      message: 'under UEFI needs the loader "systemd-boot" or "uki"; GRUB starts the base under BIOS alone',
    });
  for (const firmware of boot.firmware) {
    const reasons = lastingDirectories(spec, firmware).map((directory) => {
      const { on } = filesystemOf(storage, directory);
      const reason = unfitForBase(storage, firmware, on);
      return reason && `${on.mount} ${reason}`;
    });
    if (reasons.every((reason) => reason !== undefined))
      problems.push({ path, message: `has no place: ${[...new Set(reasons)].join("; ")}` });
  }
  return problems;
}
