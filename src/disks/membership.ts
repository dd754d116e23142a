import { Fail } from "../util/fail.ts";

/** What a disk or partition is seen to hold, by libblkid, and for LVM the group that it belongs to. */
export interface Seen {
  /** Of the whole disk, as the caller knows it. */
  readonly disk: string;
  /** "vda1". */
  readonly device: string;
  readonly fsType?: string | undefined;
  readonly uuid?: string | undefined;
  readonly group?: string | undefined;
}

/** Types whose UUID is that of the whole, which all members share. */
const shared: Readonly<Record<string, string>> = {
  linux_raid_member: "md array",
  btrfs: "btrfs",
  zfs_member: "ZFS pool",
  ddf_raid_member: "RAID set",
  isw_raid_member: "RAID set",
};

/** Refuses disks to be written that hold a part of something whose other parts lie elsewhere: writing one would break the whole. */
export function refuseSpanning(seen: readonly Seen[], written: ReadonlySet<string>): void {
  const wholes = new Map<string, Seen[]>();
  for (const one of seen) {
    const whole = wholeOf(one);
    if (whole !== undefined) wholes.set(whole, [...(wholes.get(whole) ?? []), one]);
  }
  for (const [whole, parts] of wholes) {
    const inside = parts.filter(({ disk }) => written.has(disk));
    const outside = parts.filter(({ disk }) => !written.has(disk));
    if (inside.length > 0 && outside.length > 0)
      throw new Fail(
        `${inside.map(({ device }) => device).join(" and ")} of a disk that would be written ${inside.length > 1 ? "are" : "is"} part of the ${whole}, ` +
          `and so is ${outside.map(({ device }) => device).join(" and ")}, which is not in the plan`,
        { hint: "take the disk out of it first, or name all its disks in the definition" },
      );
  }
}

function wholeOf({ fsType, uuid, group }: Seen): string | undefined {
  if (group !== undefined && group !== "") return `volume group ${group}`;
  const kind = shared[fsType ?? ""];
  return kind === undefined || uuid === undefined ? undefined : `${kind} ${uuid}`;
}

interface Signature {
  readonly fsType: string;
  readonly uuid?: string;
  readonly partUuid?: string;
  readonly tableUuid?: string;
}

/** `blkid -o export`: blocks of KEY=value, one a device, values escaped with backslashes. By kernel name. */
export function parseBlkid(text: string): ReadonlyMap<string, Partial<Signature>> {
  const byName = new Map<string, Partial<Signature>>();
  for (const block of text.split(/\n\s*\n/)) {
    const fields = new Map(
      block.split("\n").map((line) => {
        const equals = line.indexOf("=");
        return [line.slice(0, equals), line.slice(equals + 1).replace(/\\(.)/g, "$1")] as const;
      }),
    );
    const name = fields.get("DEVNAME")?.replace(/^\/dev\//, "");
    if (name === undefined) continue;
    const [fsType, uuid, partUuid, tableUuid] = ["TYPE", "UUID", "PARTUUID", "PTUUID"].map((key) =>
      fields.get(key),
    );
    if (fsType === undefined && partUuid === undefined && tableUuid === undefined) continue;
    byName.set(name, {
      ...(fsType === undefined ? {} : { fsType }),
      ...(fsType === undefined || uuid === undefined ? {} : { uuid }),
      ...(partUuid === undefined ? {} : { partUuid }),
      ...(tableUuid === undefined ? {} : { tableUuid }),
    });
  }
  return byName;
}

/** `pvs --noheadings --separator | -o pv_name,vg_name,vg_uuid`: the group of each member, by kernel name. */
export function parsePvs(text: string): ReadonlyMap<string, string> {
  const groups = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [device, name, uuid] = line.trim().split("|");
    if (device?.startsWith("/dev/") && name !== undefined && name !== "")
      groups.set(device.slice("/dev/".length), `${name} (${uuid ?? ""})`);
  }
  return groups;
}
