import type { Storage, WrittenDisk } from "../../schema/storage.ts";
import type { Content } from "../../schema/storage-content.ts";
import { type FilesystemType, isFilesystemType } from "../../tables/filesystem/filesystems.ts";
import { Fail } from "../../util/fail.ts";
import { type FieldPath, graphOf, isKept, type Place } from "./graph.ts";

/** One mount of a filesystem that lies on disks. */
export interface Mounted {
  /** Where the filesystem lies; of a pool its name. */
  readonly place: Place | { readonly on: "pool"; readonly name: string };
  /** Of a filesystem that is a partition's content; else undefined. */
  readonly disk: string | undefined;
  readonly partition: string | undefined;
  readonly type: FilesystemType;
  readonly kept: boolean;
  /** Of a kept one, or one that the definition gives; the others' derives from the seed. */
  readonly uuid: string | undefined;
  readonly mount: string;
  readonly options: readonly string[];
  readonly subvolume?: string;
  /** Read through its digests. */
  readonly verity?: true;
  readonly path: FieldPath;
}

/** Written disks of a definition, by name, in a fixed order. */
export function writtenDisks(storage: Storage): [name: string, disk: WrittenDisk][] {
  return Object.entries(storage.disks)
    .filter((entry): entry is [string, WrittenDisk] => "table" in entry[1])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Every mounted filesystem, parents before what is mounted below them. */
export function mountsOf(storage: Storage): Mounted[] {
  const mounts = graphOf(storage).nodes.flatMap((node) => {
    if (node.kind === "content") return mountsOfContent(node.place, node.content, node.path);
    if (node.kind === "pool")
      return mountsOfContent({ on: "pool", name: node.name }, { type: "btrfs", ...node.pool }, node.path);
    return [];
  });
  return mounts.sort((a, b) => depth(a.mount) - depth(b.mount) || (a.mount < b.mount ? -1 : 1));
}

/** The filesystem on which an absolute path lies, and the path as seen from that filesystem's root. */
export function filesystemOf(storage: Storage, path: string): { on: Mounted; inner: string } {
  const on = mountsOf(storage)
    .filter(({ mount }) => mount === "/" || path === mount || path.startsWith(`${mount}/`))
    .at(-1);
  if (on === undefined) throw new Fail("no filesystem is mounted at /");
  return { on, inner: on.mount === "/" ? path : path.slice(on.mount.length) || "/" };
}

function isFilesystem(content: Content): content is Extract<Content, { type: FilesystemType }> {
  return isFilesystemType(content.type);
}

function mountsOfContent(place: Mounted["place"], content: Content, path: FieldPath): Mounted[] {
  if (!isFilesystem(content)) return [];
  const own = {
    place,
    disk: place.on === "partition" || place.on === "kept-disk" ? place.disk : undefined,
    partition: place.on === "partition" ? place.partition.name : undefined,
    type: content.type,
    uuid: content.keep?.uuid ?? content.uuid,
  };
  const kept = isKept(content);
  const compressed =
    "compression" in content && content.compression !== undefined ? [`compress=${content.compression}`] : [];
  const options = [...compressed, ...content.options];
  const whole: Mounted[] =
    content.mount === undefined
      ? []
      : [
          {
            ...{ ...own, kept, mount: content.mount, options, path: [...path, "mount"] },
            ...("verity" in content && content.verity === true ? { verity: true as const } : {}),
          },
        ];
  const subvolumes = "subvolumes" in content ? Object.entries(content.subvolumes) : [];
  return [
    ...whole,
    ...subvolumes.flatMap(([name, one]): Mounted[] =>
      one.mount === undefined
        ? []
        : [
            {
              ...own,
              kept: kept && one.keep === true,
              mount: one.mount,
              options: [`subvol=${name}`, ...options, ...one.options],
              subvolume: name,
              path: [...path, "subvolumes", name, "mount"],
            },
          ],
    ),
  ];
}

function depth(mount: string): number {
  return mount.split("/").filter((name) => name !== "").length;
}
