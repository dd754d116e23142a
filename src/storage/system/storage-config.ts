import type { Storage } from "../../schema/storage.ts";
import { everywhereModules, filesystems } from "../../tables/filesystem/filesystems.ts";
import { type ReleaseName, releases } from "../../tables/release.ts";
import { Fail } from "../../util/fail.ts";
import { mountsOf } from "../graph/check-storage.ts";
import {
  contentsOf,
  type Graph,
  type GraphNode,
  graphOf,
  headerOf,
  type Place,
  showPlace,
} from "../graph/graph.ts";
import { partitionUuid, tableId } from "../graph/ids.ts";
import { btrfsPool } from "../nodes/btrfs.ts";
import { contentType } from "../nodes/content-types.ts";
import { lvmVolume } from "../nodes/lvm.ts";
import { mdArray, mdadmConf, mdUuid } from "../nodes/md.ts";
import type { Needs } from "../nodes/node.ts";
import { type ConfigFile, degradedStartFiles } from "./degraded-start.ts";
import { earlyNetworkFile } from "./early-network.ts";
import { fstab, uuidOf } from "./fstab.ts";
import { verityFiles, verityPlaces, verityWords } from "./verity-root.ts";

/** What the new system is told of its disks; of the definition and a seed alone, so an image and a deploy say the same. */
export interface StorageConfig {
  /** /etc/fstab, /etc/crypttab, /etc/mdadm/mdadm.conf …, whole; without those that would be empty. */
  readonly files: readonly ConfigFile[];
  /** Mount points that no step makes by mounting. */
  readonly directories: readonly string[];
  /** Words for the kernel's command line: root= and what goes with it. */
  readonly cmdline: readonly string[];
  readonly rootUuid: string;
  /** Kernel modules without which its initramfs does not reach the root. */
  readonly modules: readonly string[];
}

/** Where `path` of each secret lands, by its name: a key file is named in crypttab. */
type SecretPaths = Readonly<Record<string, { readonly path?: string | undefined }>>;

export function storageConfig(storage: Storage, seed: string, secrets: SecretPaths = {}): StorageConfig {
  const mounts = mountsOf(storage);
  const root = mounts[0];
  if (root?.mount !== "/") throw new Fail("the definition has no root filesystem");
  const graph = graphOf(storage);
  const early = earlyNodes(graph, storage);
  const crypttab = graph.nodes.flatMap((node) =>
    crypttabOf(node, { graph, storage, seed, secrets, early: early.has(node.id) }),
  );
  const rootUuid = uuidOf(root, seed);
  const verity = verityPlaces(storage);
  const modules = [...new Set(earlyNeeds(graph, early).flatMap((needs) => needs.modules ?? []))];
  const ownModules = modules.filter((name) => !everywhereModules.includes(name));
  const files = [
    { path: "/etc/fstab", content: fstab(storage, seed) },
    { path: "/etc/crypttab", content: linesOf(crypttab) },
    { path: "/etc/mdadm/mdadm.conf", content: mdadmConf(storage.arrays, seed) },
    { path: "/etc/systemd/zram-generator.conf", content: zramConf(storage.zram) },
    { path: "/usr/share/initramfs-tools/modules.d/imgbuild-storage", content: linesOf(ownModules) },
  ];
  return {
    files: [
      ...files.filter(({ content }) => content !== ""),
      ...degradedStartFiles(storage),
      ...(usesTang(graph, early) ? [earlyNetworkFile] : []),
      ...verityFiles(storage, seed),
    ],
    directories: [
      ...mounts.filter(({ kept }) => kept).map(({ mount }) => mount),
      ...Object.keys(storage.tmpfs),
      ...Object.entries(storage.binds).flatMap(([mount, { from }]) => [from, mount]),
    ],
    cmdline: [
      ...(verity === undefined ? [`root=UUID=${rootUuid}`] : verityWords(verity, seed)),
      ...(filesystems[root.type].everywhere ? [] : [`rootfstype=${root.type}`]),
      ...(root.subvolume === undefined ? [] : [`rootflags=subvol=${root.subvolume}`]),
    ],
    rootUuid,
    modules,
  };
}

/** Debian packages that a system needs to start from its disks and to keep them. */
export function storagePackages(storage: Storage, suite: ReleaseName): string[] {
  const graph = graphOf(storage);
  const early = earlyNodes(graph, storage);
  const packages = graph.nodes.flatMap((node) => needsOf(node, early.has(node.id)).packages ?? []);
  if (storage.zram !== undefined) packages.push("systemd-zram-generator");
  const { systemdInParts } = releases[suite];
  const there = packages.filter((name) => systemdInParts || name !== "systemd-cryptsetup");
  return [...new Set(there)].sort();
}

/** Kernel modules by which the storage is made, and reached when it is. */
export function storageModules(storage: Storage): string[] {
  const { nodes } = graphOf(storage);
  return [...new Set(nodes.flatMap((node) => needsOf(node, false).modules ?? []))].sort();
}

/** Ids of the nodes that lead to the filesystem of a mount point, and its own; as from the disk up. */
export function stackOf(storage: Storage, mount: string): GraphNode[] {
  const graph = graphOf(storage);
  const ids = above(graph, storage, (node) => node === mount);
  return graph.nodes.filter(({ id }) => ids.has(id));
}

function earlyNodes(graph: Graph, storage: Storage): ReadonlySet<string> {
  return above(graph, storage, (mount) => mount === "/" || mount === "/usr");
}

function above(graph: Graph, storage: Storage, is: (mount: string) => boolean): ReadonlySet<string> {
  const byId = new Map(graph.nodes.map((node) => [node.id, node]));
  const found = new Set<string>();
  const add = (id: string) => {
    const node = byId.get(id);
    if (node === undefined || found.has(id)) return;
    found.add(id);
    for (const one of node.requires) add(one);
  };
  for (const { mount, place } of mountsOf(storage)) {
    if (!is(mount)) continue;
    const node = graph.nodes.find((one) =>
      place.on === "pool"
        ? one.kind === "pool" && one.name === place.name
        : one.kind === "content" && showPlace(one.place) === showPlace(place),
    );
    if (node !== undefined) add(node.id);
  }
  return found;
}

function needsOf(node: GraphNode, early: boolean): Needs {
  switch (node.kind) {
    case "content":
      return contentType(node.content).needs(node.content, early);
    case "array":
      return mdArray.needs(node.array);
    case "pool":
      return btrfsPool.needs;
    case "volume":
      return lvmVolume.needs(node.volume);
    // What its members need.
    case "group":
      return {};
  }
}

function earlyNeeds(graph: Graph, early: ReadonlySet<string>): Needs[] {
  return graph.nodes.filter(({ id }) => early.has(id)).map((node) => needsOf(node, true));
}

function usesTang(graph: Graph, early: ReadonlySet<string>): boolean {
  return contentsOf(graph, "luks").some(({ id, content }) => content.unlock.type === "tang" && early.has(id));
}

function crypttabOf(
  node: GraphNode,
  about: {
    readonly graph: Graph;
    readonly storage: Storage;
    readonly seed: string;
    readonly secrets: SecretPaths;
    readonly early: boolean;
  },
): string[] {
  if (node.kind !== "content") return [];
  const { content, place } = node;
  const { storage, seed, secrets, early } = about;
  const isLuks = content.type === "luks";
  const apart = isLuks ? headerOf(about.graph, content.name) : undefined;
  return (
    contentType(content).crypttab?.(content, {
      device: stableName(place, storage, seed),
      header: apart === undefined ? undefined : stableName(apart.place, storage, seed),
      keyFile: isLuks && content.unlock.type === "key-file" ? secrets[content.key]?.path : undefined,
      ...{ early, seed },
    }) ?? []
  );
}

/** A path by which a running system finds a device that has no UUID of its own. */
export function stableName(place: Place, storage: Storage, seed: string): string {
  switch (place.on) {
    case "partition": {
      const disk = storage.disks[place.disk];
      if (disk === undefined || !("table" in disk) || disk.table.type !== "mbr")
        return `/dev/disk/by-partuuid/${partitionUuid(seed, place.disk, place.partition.name)}`;
      const number = disk.table.partitions.findIndex(({ name }) => name === place.partition.name) + 1;
      return `/dev/disk/by-partuuid/${tableId(disk, seed, place.disk)}-${String(number).padStart(2, "0")}`;
    }
    case "kept-disk":
      return `/dev/disk/by-uuid/${place.uuid}`;
    case "luks":
      return `/dev/mapper/${place.name}`;
    case "volume":
      return `/dev/mapper/${place.group}-${place.name}`;
    case "array":
      return `/dev/disk/by-id/md-uuid-${mdUuid(seed, place.name)}`;
  }
}

function zramConf(zram: Storage["zram"]): string {
  if (zram === undefined) return "";
  const { percent, algorithm, priority } = zram;
  return linesOf([
    "[zram0]",
    `zram-size = ram * ${percent} / 100`,
    `compression-algorithm = ${algorithm}`,
    `swap-priority = ${priority}`,
  ]);
}

function linesOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
