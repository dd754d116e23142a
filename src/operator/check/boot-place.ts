import type { BootPlace } from "../../boot/grub.ts";
import type { Spec } from "../../schema/spec.ts";
import type { Storage } from "../../schema/storage.ts";
import { filesystemOf, mountsOf } from "../../storage/graph/check-storage.ts";
import { clevisPin } from "../../storage/nodes/luks.ts";
import { uuidOf } from "../../storage/system/fstab.ts";
import { stackOf, storageConfig } from "../../storage/system/storage-config.ts";
import type { Layout } from "../../storage/table/gpt.ts";
import { Fail } from "../../util/fail.ts";

/** Bytes of an MBR; after it, up to the first partition, there is room. */
const mbrBytes = 512;

/** Whether /boot is a filesystem of its own. */
export function hasOwnBoot({ storage }: Pick<Spec, "storage">): boolean {
  return storage !== undefined && bootMount(storage).mount === "/boot";
}

/** Where GRUB finds its menu and the kernels. */
export function bootPlace({ storage }: Spec, seed: string): BootPlace {
  if (storage === undefined) throw new Fail("the definition has no root filesystem");
  const on = bootMount(storage);
  // GRUB sees a btrfs from its top.
  const top = on.subvolume === undefined ? "" : `/${on.subvolume}`;
  return { uuid: uuidOf(on, seed), directory: on.mount === "/" ? `${top}/boot` : top, links: top };
}

/** Names of the disks that the filesystem of /boot is on. */
export function bootDisks(storage: Storage | undefined): ReadonlySet<string> {
  if (storage === undefined) return new Set();
  return new Set(
    stackOf(storage, bootMount(storage).mount).flatMap((node) => {
      if (node.kind === "content") return node.place.on === "partition" ? [node.place.disk] : [];
      if (node.kind === "volume") return [];
      return node.members.flatMap((member) => (member.on === "partition" ? [member.disk] : []));
    }),
  );
}

/** Where GRUB's core image may be: partitions made for it; on an MBR disk that holds /boot, the gap before the first partition. */
export function coreRooms(
  layout: Layout,
  withBoot: ReadonlySet<string>,
): { startBytes: number; sizeBytes: number }[] {
  if (layout.table === "gpt")
    return layout.partitions
      .filter(({ type }) => type === "bios-boot")
      .map(({ startBytes, sizeBytes }) => ({ startBytes, sizeBytes }));
  if (!withBoot.has(layout.disk)) return [];
  const end = Math.min(...layout.partitions.map(({ startBytes }) => startBytes));
  return [{ startBytes: mbrBytes, sizeBytes: end - mbrBytes }];
}

/** What of a filesystem's stack, by default /boot's, GRUB cannot read, as a phrase. */
export function unreadByGrub(storage: Storage, mount = bootMount(storage).mount): string | undefined {
  for (const node of stackOf(storage, mount)) {
    if (node.kind === "content" && node.content.type === "luks") return "inside of LUKS";
    if (node.kind === "volume" && node.volume.kind === "thin") return "on a thin volume";
  }
  return undefined;
}

/** What the initramfs must hold to reach the root filesystem. */
export function initramfsNeeds(
  { storage }: Spec,
  seed: string,
): { readonly modules: string[]; readonly programs: string[] } {
  if (storage === undefined) return { modules: [], programs: [] };
  const root = mountsOf(storage)[0];
  const programs = stackOf(storage, "/").flatMap((node) => {
    if (node.kind === "array") return ["mdadm"];
    if (node.kind === "group") return ["lvm"];
    if (node.kind !== "content" || node.content.type !== "luks") return [];
    const { pin } = clevisPin(node.content.unlock) ?? {};
    return [
      "cryptsetup",
      ...(pin === undefined ? [] : [`clevis-decrypt-${pin}`]),
      ...(node.content.unlock.type === "ssh" ? ["dropbear", "cryptroot-unlock"] : []),
    ];
  });
  if (root?.verity) programs.push("veritysetup");
  const modules = [...(root === undefined ? [] : [root.type]), ...storageConfig(storage, seed).modules];
  return { modules: [...new Set(modules)], programs: [...new Set(programs)] };
}

function bootMount(storage: Storage) {
  return filesystemOf(storage, "/boot").on;
}
