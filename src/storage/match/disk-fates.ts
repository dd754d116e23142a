import type { DiskFacts } from "../../schema/facts.ts";
import type { Storage } from "../../schema/storage.ts";
import type { Content } from "../../schema/storage-content.ts";
import { writtenDisks } from "../graph/check-storage.ts";
import { isKept } from "../graph/graph.ts";
import { layoutOf } from "../table/gpt.ts";

/** Of a file that holds a disk. */
const imageSector = 512;

/** What a disk holds before and after: for a person who has to say yes, and for programs. */
export interface DiskFate {
  /** The definition's name for it. */
  readonly name: string;
  /** In the boot in which it was looked at. */
  readonly kernelName: string;
  /** `wiped`: nothing of it stays. `rewritten`: parts of it stay. `kept`: not a byte is written. */
  readonly fate: "wiped" | "rewritten" | "kept";
  readonly before: readonly Part[];
  readonly after: readonly Part[];
}

interface Part {
  /** Kernel name before, the definition's name after. */
  readonly name: string;
  readonly sizeBytes: number;
  /** "ext4 on /home", "LUKS home: ext4 on /home". */
  readonly holds: string;
  readonly fate: "lost" | "kept" | "made";
}

export function diskFates(storage: Storage, matched: Readonly<Record<string, DiskFacts>>): DiskFate[] {
  return Object.entries(storage.disks).map(([name, disk]) => {
    const facts = matched[name]!;
    const written = "table" in disk;
    const layout = written
      ? layoutOf(disk, facts.sizeBytes, facts.sectorSize, { seed: "", name }, facts.partitions)
      : undefined;
    const kept = layout?.partitions.filter((part) => part.kept) ?? [];
    const stays = (startBytes: number) => !written || kept.some((part) => part.startBytes === startBytes);
    const whole: Part[] =
      facts.fsType === undefined
        ? []
        : [
            {
              name: facts.name,
              sizeBytes: facts.sizeBytes,
              holds: holdsNow(facts),
              fate: written ? "lost" : "kept",
            },
          ];
    return {
      name,
      kernelName: facts.name,
      fate: !written ? "kept" : kept.length > 0 ? "rewritten" : "wiped",
      before: [
        ...whole,
        ...facts.partitions.map(
          (part): Part => ({
            name: part.name,
            sizeBytes: part.sizeBytes,
            holds: holdsNow(part),
            fate: stays(part.startBytes) ? "kept" : "lost",
          }),
        ),
      ],
      after: (layout?.partitions ?? []).map(
        (part): Part => ({
          name: part.name,
          sizeBytes: part.sizeBytes,
          holds: showContent(part.content, part.type, storage),
          fate: part.kept ? "kept" : "made",
        }),
      ),
    };
  });
}

/** The disks that a build makes, and what is on each. */
export function disksMade(storage: Storage): {
  readonly name: string;
  readonly sizeBytes: number;
  readonly partitions: readonly Omit<Part, "fate">[];
}[] {
  return writtenDisks(storage).map(([name, disk]) => ({
    name,
    sizeBytes: disk.imageSize,
    partitions: layoutOf(disk, disk.imageSize, imageSector, { seed: "", name }).partitions.map((part) => ({
      name: part.name,
      sizeBytes: part.sizeBytes,
      holds: showContent(part.content, part.type, storage),
    })),
  }));
}

function holdsNow({ fsType, mountPoints }: Pick<DiskFacts, "fsType" | "mountPoints">): string {
  const mounted = mountPoints.length === 0 ? "" : ` on ${mountPoints.join(", ")}`;
  return `${fsType ?? "no filesystem"}${mounted}`;
}

/** In a few words, down to where it is mounted. */
function showContent(content: Content | undefined, type: string, storage: Storage): string {
  if (content === undefined) return type;
  const kept = isKept(content) ? " (kept)" : "";
  switch (content.type) {
    case "luks":
      return `LUKS ${content.name}${kept}: ${showContent(content.content, type, storage)}`;
    case "lvm-pv": {
      const volumes = Object.entries(storage.volumeGroups[content.group]?.volumes ?? {}).map(
        ([name, { kind, content: inner }]) =>
          inner === undefined ? `${name} ${kind}` : `${name} ${showContent(inner, type, storage)}`,
      );
      return `LVM ${content.group}${kept}: ${volumes.join(", ")}`;
    }
    case "md-member": {
      const array = storage.arrays[content.array];
      // An array that lies in itself has been refused before anybody is shown it.
      const inner = array === undefined ? "" : `: ${showContent(array.content, type, storage)}`;
      return `RAID ${array?.level ?? ""} ${content.array}${inner}`;
    }
    case "btrfs-member":
      return `btrfs pool ${content.pool}`;
    case "luks-header":
      return `header of LUKS ${content.volume}`;
    case "verity-hash":
      return "digests of the root";
    case "swap":
      return content.randomKey === undefined ? "swap" : "swap of a random key";
    case "btrfs": {
      const mounts = [content.mount, ...Object.values(content.subvolumes).map(({ mount }) => mount)];
      return `btrfs on ${mounts.filter((mount) => mount !== undefined).join(", ")}${kept}`;
    }
    default:
      return `${content.type} on ${content.mount}${kept}`;
  }
}
