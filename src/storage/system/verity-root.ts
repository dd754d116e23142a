import { verityRoot } from "../../disks/verity.ts";
import type { Storage } from "../../schema/storage.ts";
import { filesystemOf } from "../graph/check-storage.ts";
import { contentsOf, graphOf, type Place } from "../graph/graph.ts";
import { partitionUuid } from "../graph/ids.ts";
import type { ConfigFile } from "./degraded-start.ts";
import { uuidOf } from "./fstab.ts";

type OnPartition = Extract<Place, { on: "partition" }>;

interface VerityPlaces {
  readonly data: OnPartition;
  readonly tree: OnPartition;
}

/** Where a root with verity and its digests lie; undefined where the root has none. */
export function verityPlaces(storage: Storage): VerityPlaces | undefined {
  const graph = graphOf(storage);
  const [data] = graph.nodes.flatMap((node) => {
    const isRoot = node.kind === "content" && "verity" in node.content && node.content.verity === true;
    return isRoot && node.place.on === "partition" ? [node.place] : [];
  });
  const [tree] = contentsOf(graph, "verity-hash").flatMap(({ place }) =>
    place.on === "partition" ? [place] : [],
  );
  return data === undefined || tree === undefined ? undefined : { data, tree };
}

/** The kernel's words but for the root hash, which nobody knows before the root is whole; as systemd-veritysetup-generator(8) has them. */
export function verityWords({ data, tree }: VerityPlaces, seed: string): string[] {
  return [
    `root=${verityRoot}`,
    `systemd.verity_root_data=${nodeOf(data, seed)}`,
    `systemd.verity_root_hash=${nodeOf(tree, seed)}`,
  ];
}

/** What the initramfs needs to open the root, and to let directories of it be written. */
export function verityFiles(storage: Storage, seed: string): ConfigFile[] {
  if (verityPlaces(storage) === undefined) return [];
  const scripts = "/usr/share/initramfs-tools/scripts";
  return [
    { path: "/usr/share/initramfs-tools/hooks/imgbuild-verity", content: hook },
    { path: `${scripts}/local-top/imgbuild-verity`, content: openRoot },
    { path: `${scripts}/local-bottom/imgbuild-overlays`, content: overlayScript(storage, seed) },
  ].map((file) => ({ ...file, mode: "0755" }));
}

function nodeOf({ disk, partition }: OnPartition, seed: string): string {
  return `/dev/disk/by-partuuid/${partitionUuid(seed, disk, partition.name)}`;
}

const head = `#!/bin/sh
# Made by imgbuild (docs/STORAGE.md).
[ "$1" != prereqs ] || exit 0
`;

const hook = `${head}. /usr/share/initramfs-tools/hook-functions
for program in veritysetup fsck fsck.ext4 logsave chmod chown; do
    copy_exec "$(command -v "$program")"
done
`;

/** Seconds that a disk has to appear. */
const wait = 30;

const openRoot = `${head}. /scripts/functions
for word in $(cat /proc/cmdline); do
    case "$word" in
    roothash=*) hash=\${word#*=} ;;
    systemd.verity_root_data=*) data=\${word#*=} ;;
    systemd.verity_root_hash=*) tree=\${word#*=} ;;
    esac
done
left=${wait}
while [ "$left" -gt 0 ] && ! { [ -e "$data" ] && [ -e "$tree" ]; }; do
    left=$((left - 1))
    sleep 1
done
veritysetup open "$data" root "$tree" "$hash" || panic "the root filesystem is not that of the hash $hash"
# Nothing on it can be repaired.
echo fastboot=y >> /conf/param.conf
`;

const overlayFunctions = `
mount_upper() {
    left=${wait}
    until device=$(resolve_device "UUID=$1"); do
        [ "$left" -gt 0 ] || panic "the filesystem of $2 is not there"
        left=$((left - 1))
        sleep 1
    done
    checkfs "$device" "$2" ext4
    mount -t ext4 -o "$3" "$device" "$rootmnt$2" || panic "the filesystem of $2 cannot be mounted"
}
overlay() {
    [ -d "$2/upper" ] || {
        mkdir -p "$2/upper" "$2/work"
        chown --reference="$rootmnt$1" "$2/upper"
        chmod --reference="$rootmnt$1" "$2/upper"
    }
    mount -t overlay -o "lowerdir=$rootmnt$1,upperdir=$2/upper,workdir=$2/work" overlay "$rootmnt$1" ||
        panic "$1 cannot be written"
}
case " $(cat /proc/cmdline) " in
*" fastboot "* | *" fsck.mode=skip "*) ;;
*) fastboot=n ;;
esac
`;

/** Before the system's first process reads /etc, so it cannot be said in fstab. */
function overlayScript(storage: Storage, seed: string): string {
  const overlays = Object.entries(storage.overlays ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const uppers = new Map(
    overlays.flatMap(([, { upper }]) => {
      if (upper === "memory") return [];
      const { on } = filesystemOf(storage, upper);
      // Those that are for systemd alone would be refused by the kernel.
      const options = [
        "defaults",
        ...on.options.filter((option) => !/^(x-.*|nofail|noauto|auto|_netdev)$/.test(option)),
      ];
      return [[on.mount, `mount_upper ${uuidOf(on, seed)} ${on.mount} ${options.join(",")}`]];
    }),
  );
  const lines = overlays.map(
    ([path, { upper }]) =>
      `overlay ${path} "${upper === "memory" ? `/run/imgbuild/overlay${path}` : `$rootmnt${upper}`}"`,
  );
  return `${head}. /scripts/functions\n${overlayFunctions}${[...uppers.values(), ...lines].join("\n")}\n`;
}
