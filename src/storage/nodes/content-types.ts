import type { Content } from "../../schema/storage-content.ts";
import { type SimpleType, simpleTypes } from "../../tables/filesystem/filesystems.ts";
import { btrfs, btrfsMember } from "./btrfs.ts";
import { ext4 } from "./ext4.ts";
import { luks } from "./luks.ts";
import { lvmPv } from "./lvm.ts";
import { mdMember } from "./md.ts";
import type { ContentType } from "./node.ts";
import { simple } from "./simple.ts";
import { swap } from "./swap.ts";
import { vfat } from "./vfat.ts";

type Types = {
  readonly [T in Exclude<Content["type"], SimpleType>]: ContentType<Extract<Content, { type: T }>>;
};

const types: Types & Partial<Record<SimpleType, typeof simple>> = {
  ...Object.fromEntries(simpleTypes.map((type) => [type, simple])),
  btrfs,
  "btrfs-member": btrfsMember,
  ext4,
  luks,
  // Written together with the volume that it is the header of.
  "luks-header": { needs: () => ({}), create: () => [] },
  "lvm-pv": lvmPv,
  "md-member": mdMember,
  swap,
  vfat,
  // Written when the root is whole, by a step of its own.
  "verity-hash": { needs: () => ({}), create: () => [] },
};

/** The kind of a content. */
export function contentType<C extends Content>(content: C): ContentType<C> {
  return types[content.type] as unknown as ContentType<C>;
}
