import type { Storage } from "../../schema/storage.ts";
import { mountsOf } from "../graph/check-storage.ts";

/** A file of the new system. */
export interface ConfigFile {
  readonly path: string;
  readonly content: string;
  /** Default "0644". */
  readonly mode?: string;
}

/** Time that the disks of a pool have to appear, as md gives its members in an initramfs of Debian's. */
const waitSeconds = 20;

/**
 * btrfs mounts with a disk missing only where it is told `degraded`. As a word of every start that would also split a mirror whose second
 * disk is merely late, so the initramfs says it itself, and only when the time that a disk may take is over.
 */
export function degradedStartFiles(storage: Storage): ConfigFile[] {
  const place = mountsOf(storage)[0]?.place;
  const pool = place?.on === "pool" ? storage.pools[place.name] : undefined;
  if (pool?.startDegraded !== true) return [];
  return [
    {
      path: "/usr/share/initramfs-tools/scripts/local-premount/imgbuild-pool",
      mode: "0755",
      content: script,
    },
  ];
}

const script = `#!/bin/sh
# Made by imgbuild (docs/STORAGE.md): a pool that lacks a disk starts without it.
[ "$1" != prereqs ] || { echo btrfs; exit 0; }
. /scripts/functions
left=${waitSeconds}
while :; do
    btrfs device scan > /dev/null 2>&1
    device=$(resolve_device "$ROOT") && btrfs device ready "$device" > /dev/null 2>&1 && exit 0
    [ "$left" -gt 0 ] || break
    left=$((left - 1))
    sleep 1
done
# Not one disk of it: the wait for the root goes on, and tells.
[ -n "$device" ] || exit 0
log_warning_msg "a disk of the root filesystem is missing; starting without it"
if [ -n "$ROOTFLAGS" ]; then flags="$ROOTFLAGS,degraded"; else flags="-o degraded"; fi
echo "ROOTFLAGS='$flags'" >> /conf/param.conf
# Arrays whose other half was on that disk wait for it as well, and nothing in the running system would start them.
[ ! -x /sbin/mdadm ] || for array in /dev/md?*; do
    [ ! -b "$array" ] || mdadm --quiet --run "$array"
done
exit 0
`;
