import type { Storage } from "../schema/storage.ts";
import { type Mounted, mountsOf } from "./check-storage.ts";
import { filesystemUuid, vfatUuid, vfatVolumeId } from "./ids.ts";

/** /etc/fstab by UUID: the root first, then the rest by depth, then the swap file. */
export function fstab(storage: Storage, seed: string): string {
  const lines = mountsOf(storage).map((mounted) =>
    line(
      `UUID=${uuidOf(mounted, seed)}`,
      mounted.mount,
      mounted.type,
      optionsOf(mounted),
      mounted.type === "vfat" ? 2 : mounted.mount === "/" ? 1 : 2,
    ),
  );
  if (storage.swapFile !== undefined)
    lines.push(line(storage.swapFile.path, "none", "swap", ["defaults"], 0));
  return `${lines.join("\n")}\n`;
}

/** The UUID by which the kernel knows a filesystem, made or kept. */
export function uuidOf(mounted: Mounted, seed: string): string {
  if (mounted.partition === undefined) return mounted.uuid!;
  if (mounted.type === "vfat") return vfatUuid(vfatVolumeId(seed, mounted.disk, mounted.partition));
  return filesystemUuid(seed, mounted.disk, mounted.partition);
}

/** A field of fstab: what would end it or be read as an escape is written in octal (getmntent(3)). */
export function fstabField(text: string): string {
  return text.replace(/[ \t\n\r\\#]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

function optionsOf({ mount, type, options }: Mounted): readonly string[] {
  if (mount === "/" && type === "ext4") return ["errors=remount-ro", ...options];
  return options.length === 0 ? ["defaults"] : options;
}

function line(what: string, where: string, type: string, options: readonly string[], pass: number): string {
  return [what, where, type, options.join(","), "0", String(pass)].map(fstabField).join(" ");
}
