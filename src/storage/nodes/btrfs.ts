import type { DeviceRef } from "../../disks/device.ts";
import type { StepData } from "../../schema/plan.ts";
import type { Btrfs, BtrfsMember, Pool } from "../../schema/storage-content.ts";
import { btrfsSubvolumes } from "../../steps/disk/btrfs-subvolumes.ts";
import { makeStorage } from "../../steps/disk/make-storage.ts";
import { stepData } from "../../steps/step/step.ts";
import { filesystems } from "../../tables/filesystem/filesystems.ts";
import { contentUuid, filesystemUuid } from "../graph/ids.ts";
import type { ContentType, Needs, Site } from "./node.ts";

const needs: Needs = filesystems.btrfs;

export const btrfs: ContentType<Btrfs> = {
  needs: () => needs,
  create: (content, site) => [
    ...(content.keep === undefined
      ? [mkfs(content, [site.device], [], content.uuid ?? filesystemUuid(site.seed, ...site.scope), site)]
      : []),
    ...subvolumes(content, [site.device], site.what),
  ],
};

/** A device that belongs to a pool; that is made as a whole. */
export const btrfsMember: ContentType<BtrfsMember> = { needs: () => needs, create: () => [] };

export const btrfsPool = {
  needs,
  /** The first member is what the filesystem is mounted by. */
  create(
    name: string,
    pool: Pool,
    members: readonly DeviceRef[],
    site: Pick<Site, "seed" | "epoch">,
  ): StepData[] {
    const profiles = ["--data", pool.data, "--metadata", pool.metadata];
    const uuid = pool.uuid ?? contentUuid(site.seed, "filesystem", "pool:", name);
    return [
      mkfs(pool, members, profiles, uuid, { ...site, what: `pool ${name}` }),
      ...subvolumes(pool, members, `pool ${name}`),
    ];
  },
};

function mkfs(
  { label }: Pick<Btrfs, "label">,
  devices: readonly DeviceRef[],
  profiles: readonly string[],
  uuid: string,
  { epoch, what }: Pick<Site, "epoch" | "what">,
): StepData {
  const words = ["--quiet", "--force", "--uuid", uuid, ...(label === undefined ? [] : ["--label", label])];
  return stepData(makeStorage, `formatting ${what} as btrfs`, {
    commands: [
      { program: "mkfs.btrfs", args: [...words, ...profiles, ...devices.map((device) => ({ device }))] },
    ],
    epoch,
  });
}

/** A subvolume that is kept is left alone; all others are made, in the place of one that may be there. */
function subvolumes(
  { subvolumes: all }: Pick<Btrfs, "subvolumes">,
  [device, ...others]: readonly DeviceRef[],
  what: string,
): StepData[] {
  const names = Object.entries(all).flatMap(([name, { keep }]) => (keep === true ? [] : [name]));
  if (names.length === 0 || device === undefined) return [];
  return [
    stepData(btrfsSubvolumes, `making ${names.length} subvolumes of ${what}`, {
      device,
      others,
      names: names.sort(),
    }),
  ];
}
