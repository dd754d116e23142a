import { verityRoot } from "../../disks/verity.ts";
import type { Storage } from "../../schema/storage.ts";
import { filesystems } from "../../tables/filesystem/filesystems.ts";
import { type Mounted, mountsOf } from "../graph/check-storage.ts";
import { graphOf, scopeOf } from "../graph/graph.ts";
import { contentUuid, filesystemUuid, vfatUuid, vfatVolumeId } from "../graph/ids.ts";
import { contentType } from "../nodes/content-types.ts";

/** /etc/fstab by UUID: the root first, then the rest by depth, then what lies in memory, swap, and other names of directories. */
export function fstab(storage: Storage, seed: string): string {
  const lines = mountsOf(storage).map((mounted) =>
    line(sourceOf(mounted, seed), mounted.mount, mounted.type, optionsOf(mounted), passOf(mounted)),
  );
  for (const [mount, { size, options }] of Object.entries(storage.tmpfs))
    lines.push(line("tmpfs", mount, "tmpfs", [`size=${size}`, ...options], 0));
  for (const [mount, { from, options }] of Object.entries(storage.binds))
    lines.push(line(from, mount, "none", ["bind", ...options], 0));
  for (const node of graphOf(storage).nodes) {
    if (node.kind !== "content") continue;
    const { content, place } = node;
    const own = contentType(content).fstab?.(content, { seed, scope: scopeOf(place) });
    if (own !== undefined) lines.push(line(own.source, "none", own.type, orDefaults(own.options), 0));
  }
  if (storage.swapFile !== undefined)
    lines.push(line(storage.swapFile.path, "none", "swap", ["defaults"], 0));
  return `${lines.join("\n")}\n`;
}

/** The UUID by which the kernel knows a filesystem, made or kept. */
export function uuidOf(mounted: Pick<Mounted, "place" | "type" | "uuid">, seed: string): string {
  const { place, type, uuid } = mounted;
  if (uuid !== undefined) return uuid;
  if (place.on === "pool") return contentUuid(seed, "filesystem", "pool:", place.name);
  const [scope, name] = scopeOf(place);
  if (filesystems[type].firmware) return vfatUuid(vfatVolumeId(seed, scope, name));
  return filesystemUuid(seed, scope, name);
}

/** A field of fstab: what would end it or be read as an escape is written in octal (getmntent(3)). */
export function fstabField(text: string): string {
  return text.replace(/[ \t\n\r\\#]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

/** A verified root is read by its mapping: the filesystem's UUID is on the partition below as well. */
function sourceOf(mounted: Mounted, seed: string): string {
  return mounted.verity ? verityRoot : `UUID=${uuidOf(mounted, seed)}`;
}

function optionsOf({ mount, type, options, verity }: Mounted): readonly string[] {
  if (verity) return ["ro", ...options];
  const own = mount === "/" ? (filesystems[type].rootOptions ?? []) : [];
  return orDefaults([...own, ...options]);
}

function orDefaults(options: readonly string[]): readonly string[] {
  return options.length === 0 ? ["defaults"] : options;
}

function passOf({ mount, type, verity }: Mounted): number {
  if (verity || !filesystems[type].fsck) return 0;
  return mount === "/" ? 1 : 2;
}

function line(what: string, where: string, type: string, options: readonly string[], pass: number): string {
  return [what, where, type, options.join(","), "0", String(pass)].map(fstabField).join(" ");
}
