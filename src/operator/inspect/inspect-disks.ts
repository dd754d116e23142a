import { parseBlkid, parsePvs } from "../../disks/membership.ts";
import type { DiskFacts } from "../../schema/facts.ts";

type Partition = DiskFacts["partitions"][number];

/** Disks from the probe's sections: kernel sizes are in units of 512 bytes whatever the sector size. */
export function parseDisks(
  disks: string,
  sections: {
    readonly blkid: string;
    readonly mountinfo: string;
    readonly swaps: string;
    readonly pvs: string;
    readonly multipath: string;
    readonly links: string;
  },
): DiskFacts[] {
  const signatures = parseBlkid(sections.blkid);
  const groups = parsePvs(sections.pvs);
  const links = parseLinksOf(sections.links);
  const mounts = parseMounts(sections.mountinfo);
  const heldBy = (name: string) => {
    const { fsType, uuid } = signatures.get(name) ?? {};
    const group = groups.get(name);
    return {
      ...(fsType === undefined ? {} : { fsType }),
      ...(uuid === undefined ? {} : { uuid }),
      ...(group === undefined ? {} : { group }),
    };
  };
  // "dm-0 mpatha": device-mapper's maps of several paths.
  const maps = new Map(
    [...sections.multipath.matchAll(/^(dm-\d+) (\S+)$/gm)].map(([, dm, name]) => [dm, name]),
  );
  const swapNames = new Set([...sections.swaps.matchAll(/^\/dev\/(\S+)/gm)].map((match) => match[1]!));
  const found: DiskFacts[] = [];
  let disk: DiskFacts | undefined;
  let part: Partition | undefined;
  const mountsOf = (name: string, dev: string) => [
    ...(mounts.get(dev) ?? []),
    ...(swapNames.has(name) ? ["[swap]"] : []),
  ];
  for (const line of disks.split("\n")) {
    const space = line.indexOf(" ");
    const key = space < 0 ? line : line.slice(0, space);
    const value = space < 0 ? "" : line.slice(space + 1).trim();
    if (key === "disk") {
      disk = {
        name: value,
        sizeBytes: 0,
        sectorSize: 512,
        removable: false,
        readOnly: false,
        holders: [],
        mountPoints: [],
        partitions: [],
        ...heldBy(value),
        ...links.get(value),
      };
      const table = signatures.get(value)?.tableUuid;
      if (table !== undefined) disk.tableUuid = table;
      part = undefined;
      found.push(disk);
      continue;
    }
    if (disk === undefined || value === "") continue;
    if (key === "dev") disk.mountPoints = mountsOf(disk.name, value);
    else if (key === "sectors") disk.sizeBytes = Number(value) * 512;
    else if (key === "sector-size") disk.sectorSize = Number(value);
    else if (key === "removable") disk.removable = value === "1";
    else if (key === "read-only") disk.readOnly = value === "1";
    else if (key === "serial") disk.serial = value;
    else if (key === "udev-serial") disk.serial ??= value;
    else if (key === "wwn") disk.wwn = value;
    else if (key === "model") disk.model = value;
    else if (key === "sys-path" && disk.byPath === undefined) Object.assign(disk, virtioPath(value));
    else if (key === "holder") {
      disk.holders.push(value);
      const map = maps.get(value);
      if (map !== undefined && part === undefined) disk.multipath = map;
    } else if (key === "part") {
      const partUuid = signatures.get(value)?.partUuid;
      part = {
        name: value,
        startBytes: 0,
        sizeBytes: 0,
        mountPoints: [],
        ...heldBy(value),
        ...(partUuid === undefined ? {} : { partUuid }),
      };
      disk.partitions.push(part);
    } else if (part !== undefined && key === "part-dev") part.mountPoints = mountsOf(part.name, value);
    else if (part !== undefined && key === "part-start") part.startBytes = Number(value) * 512;
    else if (part !== undefined && key === "part-sectors") part.sizeBytes = Number(value) * 512;
  }
  for (const one of found) one.partitions.sort((a, b) => a.startBytes - b.startBytes);
  return found;
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

/** Mount points by "major:minor", from /proc/self/mountinfo (its octal escapes undone). */
function parseMounts(text: string): ReadonlyMap<string, string[]> {
  const byDevice = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const fields = line.split(" ");
    const device = fields[2];
    const point = fields[4]?.replace(/\\([0-7]{3})/g, (_all, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    if (device === undefined || point === undefined) continue;
    byDevice.set(device, [...(byDevice.get(device) ?? []), point]);
  }
  return byDevice;
}
