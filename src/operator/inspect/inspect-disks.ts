import { parseBlkid, parsePvs } from "../../disks/membership.ts";
import { parseMountinfo } from "../../disks/mountinfo.ts";
import type { DiskFacts } from "../../schema/facts.ts";

type Partition = DiskFacts["partitions"][number];

/** Sections of the probe beside that of the disks. */
interface Sections {
  readonly blkid: string;
  readonly mountinfo: string;
  readonly swaps: string;
  readonly pvs: string;
  readonly multipath: string;
  readonly links: string;
}

/** What they say of a kernel's name, or of its "major:minor". */
interface Known {
  readonly signatures: ReturnType<typeof parseBlkid>;
  readonly links: ReturnType<typeof parseLinksOf>;
  /** Device-mapper's maps of several paths. */
  readonly maps: ReadonlyMap<string, string>;
  heldBy(name: string): Pick<Partition, "fsType" | "uuid" | "group">;
  mountsOf(name: string, dev: string): string[];
}

/** Disks from the probe's sections: kernel sizes are in units of 512 bytes for any sector size. */
export function parseDisks(text: string, sections: Sections): DiskFacts[] {
  const known = knownFrom(sections);
  const disks: DiskFacts[] = [];
  for (const line of text.split("\n")) {
    const space = line.indexOf(" ");
    const key = space < 0 ? line : line.slice(0, space);
    const value = space < 0 ? "" : line.slice(space + 1).trim();
    if (key === "disk") {
      disks.push(emptyDisk(value, known));
      continue;
    }
    const disk = disks.at(-1);
    if (disk === undefined || value === "") continue;
    Object.assign(disk, diskFields.get(key)?.(value, disk, known));
    const part = disk.partitions.at(-1);
    if (part !== undefined) Object.assign(part, partFields.get(key)?.(value, part, known));
  }
  for (const { partitions } of disks) partitions.sort((a, b) => a.startBytes - b.startBytes);
  return disks;
}

/** What a line of the section says of its disk. */
const diskFields = new Map<string, (value: string, disk: DiskFacts, known: Known) => Partial<DiskFacts>>([
  ["dev", (value, { name }, { mountsOf }) => ({ mountPoints: mountsOf(name, value) })],
  ["sectors", (value) => ({ sizeBytes: Number(value) * 512 })],
  ["sector-size", (value) => ({ sectorSize: Number(value) })],
  ["removable", (value) => ({ removable: value === "1" })],
  ["read-only", (value) => ({ readOnly: value === "1" })],
  ["serial", (value) => ({ serial: value })],
  ["udev-serial", (value, { serial = value }) => ({ serial })],
  ["wwn", (value) => ({ wwn: value })],
  ["model", (value) => ({ model: value })],
  ["sys-path", (value, { byPath }) => (byPath === undefined ? virtioPath(value) : {})],
  ["holder", withHolder],
  ["part", (value, { partitions }, known) => ({ partitions: [...partitions, emptyPart(value, known)] })],
]);

/** The same of its last partition. */
const partFields = new Map<string, (value: string, part: Partition, known: Known) => Partial<Partition>>([
  ["part-dev", (value, { name }, { mountsOf }) => ({ mountPoints: mountsOf(name, value) })],
  ["part-start", (value) => ({ startBytes: Number(value) * 512 })],
  ["part-sectors", (value) => ({ sizeBytes: Number(value) * 512 })],
]);

function withHolder(value: string, { holders, partitions }: DiskFacts, { maps }: Known): Partial<DiskFacts> {
  const map = maps.get(value);
  // Holders of partitions come after these.
  const isOwn = map !== undefined && partitions.length === 0;
  return { holders: [...holders, value], ...(isOwn ? { multipath: map } : {}) };
}

function emptyDisk(name: string, { heldBy, links, signatures }: Known): DiskFacts {
  const tableUuid = signatures.get(name)?.tableUuid;
  return {
    ...{ name, sizeBytes: 0, sectorSize: 512, removable: false, readOnly: false },
    ...{ holders: [], mountPoints: [], partitions: [] },
    ...heldBy(name),
    ...links.get(name),
    ...(tableUuid === undefined ? {} : { tableUuid }),
  };
}

function emptyPart(name: string, { heldBy, signatures }: Known): Partition {
  const partUuid = signatures.get(name)?.partUuid;
  return {
    ...{ name, startBytes: 0, sizeBytes: 0, mountPoints: [] },
    ...heldBy(name),
    ...(partUuid === undefined ? {} : { partUuid }),
  };
}

function knownFrom(sections: Sections): Known {
  const signatures = parseBlkid(sections.blkid);
  const groups = parsePvs(sections.pvs);
  const mounts = parseMountinfo(sections.mountinfo);
  const swaps = new Set([...sections.swaps.matchAll(/^\/dev\/(\S+)/gm)].map((match) => match[1]!));
  return {
    signatures,
    links: parseLinksOf(sections.links),
    // "dm-0 mpatha"
    maps: new Map([...sections.multipath.matchAll(/^(dm-\d+) (\S+)$/gm)].map(([, dm, name]) => [dm!, name!])),
    heldBy(name) {
      const { fsType, uuid } = signatures.get(name) ?? {};
      const group = groups.get(name);
      return {
        ...(fsType === undefined ? {} : { fsType }),
        ...(uuid === undefined ? {} : { uuid }),
        ...(group === undefined ? {} : { group }),
      };
    },
    mountsOf: (name, dev) => [
      ...mounts.flatMap(({ device, point }) => (device === dev ? [point] : [])),
      ...(swaps.has(name) ? ["[swap]"] : []),
    ],
  };
}

/** What udev calls a virtio disk's port, for a host that has no udev: the base has one. Such a disk has often no other name. */
function virtioPath(device: string): { byPath?: string[] } {
  const slot = /\/([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\/virtio\d+$/.exec(device)?.[1];
  return slot === undefined ? {} : { byPath: [`pci-${slot}`] };
}

/** "by-id/ata-X ../../sda": the stable names of each disk. */
function parseLinksOf(text: string): ReadonlyMap<string, { byId?: string[]; byPath?: string[] }> {
  const byName = new Map<string, { byId?: string[]; byPath?: string[] }>();
  for (const line of text.split("\n")) {
    const [, kind, name, target] = /^by-(id|path)\/(\S+) (?:\S*\/)?([^/\s]+)$/.exec(line.trim()) ?? [];
    if (name === undefined || target === undefined) continue;
    const names = byName.get(target) ?? {};
    if (kind === "id") names.byId = [...(names.byId ?? []), name];
    else names.byPath = [...(names.byPath ?? []), name];
    byName.set(target, names);
  }
  return byName;
}
