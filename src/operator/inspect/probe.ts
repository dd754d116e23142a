import { distribution } from "../../tables/distribution.ts";

const { settings } = distribution;

/**
 * The inspection of a live host: one constant POSIX sh script on stdin of `sh -s`, run as root, read only.
 * It needs a kernel with /proc and /sys, `cat`, and uses what else it finds; nothing of ours is on the host yet.
 * $1 is a random word that separates the sections, so that no file's content can pass for a section.
 */
export const probeScript = `
set -u
export LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mark=$1
section() { printf '\\n%s %s\\n' "$mark" "$1"; }
show() { section "$1"; [ -r "$2" ] && cat "$2" 2>/dev/null; }
have() { command -v "$1" >/dev/null 2>&1; }

show boot-id /proc/sys/kernel/random/boot_id
show machine-id /etc/machine-id
show dmi-uuid /sys/class/dmi/id/product_uuid
show hostname /proc/sys/kernel/hostname
show os-release /etc/os-release
show meminfo /proc/meminfo
show cmdline /proc/cmdline
show consoles /sys/class/tty/console/active
show lockdown /sys/kernel/security/lockdown
show kexec-disabled /proc/sys/kernel/kexec_load_disabled
section debian-key
grep -q 'Debian Secure Boot CA' /proc/keys 2>/dev/null && echo trusted
section loader-info
for f in /sys/firmware/efi/efivars/LoaderInfo-4a67b082-*; do [ -r "$f" ] && tr -cd ' -~' <"$f"; done
section boot-places
place() {
  echo "$1 $2"
  df -Pk "$2" 2>/dev/null | sed '1d;s/^/df /'
  [ -d "$2/imgbuild-takeover" ] && echo "left $(du -sk "$2/imgbuild-takeover" 2>/dev/null)"
}
for d in /boot/grub /boot/grub2; do
  [ -r "$d/grub.cfg" ] || continue
  place grub "$d"
  for w in custom.cfg load_env; do grep -qF "$w" "$d/grub.cfg" && echo "reads $w"; done
done
for d in /efi /boot /boot/efi; do [ -d "$d/loader" ] && place systemd-boot "$d"; done
for d in /boot/efi /efi /boot; do
  [ -d "$d/EFI" ] && [ -e /sys/firmware/efi/efivars/BootCurrent-* ] && place firmware "$d"
done
show mountinfo /proc/self/mountinfo
show swaps /proc/swaps
section uname; uname -m; uname -r
section clock; date +%s
show hardware-clock /sys/class/rtc/rtc0/since_epoch
section firmware
if [ -d /sys/firmware/efi ]; then echo uefi; else echo bios; fi
section secure-boot
for f in /sys/firmware/efi/efivars/SecureBoot-*; do
  [ -r "$f" ] && od -An -tu1 "$f" 2>/dev/null
done
section setup-mode
for f in /sys/firmware/efi/efivars/SetupMode-*; do
  [ -r "$f" ] && od -An -tu1 "$f" 2>/dev/null
done
# Both variables have a few KiB.
section secure-boot-db
for f in /sys/firmware/efi/efivars/db-d719b2cb-*; do [ -r "$f" ] && od -An -v -tx1 -N 65536 "$f" 2>/dev/null; done
section sbat-level
for f in /sys/firmware/efi/efivars/SbatLevelRT-605dab50-*; do [ -r "$f" ] && od -An -v -tx1 -N 8192 "$f" 2>/dev/null; done
section tpm
t=/sys/class/tpm/tpm0
if [ -e "$t" ]; then
  [ -r "$t/tpm_version_major" ] && printf 'version %s\\n' "$(cat "$t/tpm_version_major")"
  [ -e /dev/tpmrm0 ] && echo usable
  for f in "$t"/pcr-*; do [ -d "$f" ] && printf 'bank %s\\n' "\${f##*/pcr-}"; done
elif [ -e /sys/firmware/acpi/tables/TPM2 ]; then echo 'version 2'; fi
section cpu-flags
[ -r /proc/cpuinfo ] && sed -n '/^flags/{s/^[^:]*: *//p;q;}' /proc/cpuinfo
section container
if have systemd-detect-virt; then systemd-detect-virt --container; else
  [ -r /proc/1/environ ] && tr '\\000' '\\n' </proc/1/environ 2>/dev/null | sed -n 's/^container=//p'
  [ -e /.dockerenv ] && echo docker
  [ -d /proc/vz ] && [ ! -d /proc/bc ] && echo openvz
fi
section xen
[ -r /sys/hypervisor/guest_type ] && cat /sys/hypervisor/guest_type
section watchdogs
for f in /sys/class/watchdog/*/identity; do [ -r "$f" ] && cat "$f"; done

section disks
disks=
for b in /sys/block/*; do
  name=\${b##*/}
  case $name in loop*|ram*|zram*|dm-*|md*|sr*|fd*|nbd*) continue ;; esac
  [ -r "$b/size" ] || continue
  # One of the paths of NVMe multipath, which cannot be opened; the disk at their end is there beside them.
  [ "$(cat "$b/hidden" 2>/dev/null)" = 1 ] && continue
  disks="$disks $name"
  printf 'disk %s\\n' "$name"
  printf 'dev %s\\n' "$(cat "$b/dev")"
  printf 'sectors %s\\n' "$(cat "$b/size")"
  printf 'sector-size %s\\n' "$(cat "$b/queue/logical_block_size" 2>/dev/null)"
  printf 'removable %s\\n' "$(cat "$b/removable" 2>/dev/null)"
  printf 'read-only %s\\n' "$(cat "$b/ro" 2>/dev/null)"
  printf 'serial %s\\n' "$(cat "$b/serial" 2>/dev/null || cat "$b/device/serial" 2>/dev/null)"
  printf 'udev-serial %s\\n' "$(have udevadm && udevadm info --query=property --name="/dev/$name" 2>/dev/null | sed -n 's/^ID_SERIAL_SHORT=//p')"
  printf 'wwn %s\\n' "$(cat "$b/wwid" 2>/dev/null || cat "$b/device/wwid" 2>/dev/null)"
  printf 'sys-path %s\\n' "$(readlink -f "$b/device" 2>/dev/null)"
  printf 'model %s\\n' "$(cat "$b/device/model" 2>/dev/null)"
  for h in "$b"/holders/*; do [ -e "$h" ] && printf 'holder %s\\n' "\${h##*/}"; done
  for p in "$b/$name"*; do
    [ -r "$p/partition" ] || continue
    printf 'part %s\\n' "\${p##*/}"
    printf 'part-dev %s\\n' "$(cat "$p/dev")"
    printf 'part-start %s\\n' "$(cat "$p/start")"
    printf 'part-sectors %s\\n' "$(cat "$p/size")"
    for h in "$p"/holders/*; do [ -e "$h" ] && printf 'holder %s\\n' "\${h##*/}"; done
  done
done
section multipath
for m in /sys/block/dm-*; do
  [ -r "$m/dm/uuid" ] || continue
  case $(cat "$m/dm/uuid") in mpath-*) printf '%s %s\\n' "\${m##*/}" "$(cat "$m/dm/name")" ;; esac
done
section disk-links
for l in /dev/disk/by-id/* /dev/disk/by-path/*; do
  [ -L "$l" ] && printf '%s %s\\n' "\${l#/dev/disk/}" "$(readlink "$l")"
done
section pvs
have pvs && pvs --noheadings --separator '|' -o pv_name,vg_name,vg_uuid 2>/dev/null
section blkid
if have blkid; then
  blkid -c /dev/null -o export 2>/dev/null
  # It leaves out disks with partitions, whose tables have an identifier of their own.
  for name in $disks; do echo; blkid -c /dev/null -o export "/dev/$name" 2>/dev/null; done
fi

section links
value() { v=; [ -r "$2" ] && { read -r v <"$2"; } 2>/dev/null; [ -n "$v" ] && printf '%s %s\\n' "$1" "$v"; }
for n in /sys/class/net/*; do
  [ -r "$n/ifindex" ] || continue
  name=\${n##*/}
  printf 'link %s\\n' "$name"
  for key in address mtu flags type dev_port addr_assign_type; do value "$key" "$n/$key"; done
  sed -n 's/^DEVTYPE=/devtype /p' "$n/uevent" 2>/dev/null
  [ -e "$n/tun_flags" ] && echo 'devtype tun'
  [ -e "$n/device" ] && printf 'path %s\\n' "$(readlink -f "$n/device")"
  [ -e "$n/master" ] && m=$(readlink "$n/master") && printf 'master %s\\n' "\${m##*/}"
  value own-address "$n/bonding_slave/perm_hwaddr"
  # Set by hand, to another than the card's own.
  case $(cat "$n/addr_assign_type" 2>/dev/null) in
    3) have ethtool && ethtool -P "$name" 2>/dev/null | sed -n 's/^Permanent address: */own-address /p' ;;
  esac
  [ -r "/proc/net/vlan/$name" ] && sed -n 's/.*VID: *\\([0-9]*\\).*/vlan-id \\1/p; s/^Device: */vlan-on /p' "/proc/net/vlan/$name"
  for f in "$n"/bonding/*; do
    case $f in */slaves|*/mii_status|*/active_slave|*/ad_*_key|*/ad_partner*|*/ad_aggregator|*/ad_num*) continue ;; esac
    value "bond-\${f##*/}" "$f"
  done
  for key in stp_state forward_delay priority vlan_filtering; do value "bridge-$key" "$n/bridge/$key"; done
  for key in accept_ra forwarding disable_ipv6; do value "$key" "/proc/sys/net/ipv6/conf/$name/$key"; done
done

# BusyBox and old versions know no JSON.
section ip-address; have ip && { ip -j -d address show 2>/dev/null || ip -o address show 2>/dev/null; }
section ip-route4; have ip && { ip -j -4 route show table all 2>/dev/null || ip -4 route show table all 2>/dev/null; }
section ip-route6; have ip && { ip -j -6 route show table all 2>/dev/null || ip -6 route show table all 2>/dev/null; }
section bridge-vlans; have bridge && bridge -j vlan show 2>/dev/null
section ip-rule4; have ip && ip -4 rule show 2>/dev/null
section ip-rule6; have ip && ip -6 rule show 2>/dev/null
section route-tables
for f in /usr/share/iproute2/rt_tables /etc/iproute2/rt_tables /etc/iproute2/rt_tables.d/*.conf; do
  [ -r "$f" ] && cat "$f" && echo
done
section udhcpc
for p in /proc/[0-9]*; do
  c=; { read -r c <"$p/comm"; } 2>/dev/null
  [ "$c" = udhcpc ] && { tr '\\000' ' ' <"$p/cmdline" && echo; } 2>/dev/null
done
show resolv-conf /etc/resolv.conf
show resolv-conf-uplink /run/systemd/resolve/resolv.conf

section apt-sources
for f in ${settings}/sources.list ${settings}/sources.list.d/*.list; do [ -r "$f" ] && cat "$f" && echo; done
section apt-sources-deb822
for f in ${settings}/sources.list.d/*.sources; do [ -r "$f" ] && cat "$f" && echo; done

section host-keys
for f in /etc/ssh/ssh_host_*_key.pub; do [ -r "$f" ] && cat "$f"; done
section cache-free
d=/var/cache; [ -d "$d" ] || d=/var
df -Pk "$d" 2>/dev/null | sed 1d
# Of what a tree is made by beside this system. A module that is there is loaded when it is used.
section lacks-for-tree
closed=$(cat /proc/sys/kernel/modules_disabled 2>/dev/null)
gives() {
  grep -qw "$1" /proc/filesystems && return
  [ -d "/sys/module/$1" ] && return
  [ "$closed" != 1 ] && have modprobe && modprobe -n -q "$1" 2>/dev/null
}
for m in squashfs overlay ext4; do gives $m || echo "the filesystem $m"; done
gives loop || [ -e /dev/loop0 ] || echo 'loop devices'
[ -e /proc/sys/kernel/seccomp/actions_avail ] || echo 'filters of system calls (seccomp)'
if have unshare; then unshare -U -m -p -f true 2>/dev/null || echo 'user namespaces'
elif [ "$(cat /proc/sys/user/max_user_namespaces 2>/dev/null || echo 0)" = 0 ]; then echo 'user namespaces'; fi
section end
`;

/** Splits the probe's output into its sections, trimmed. */
export function sectionsOf(output: string, mark: string): ReadonlyMap<string, string> {
  const sections = new Map<string, string>();
  for (const part of `\n${output}`.split(`\n${mark} `).slice(1)) {
    const end = part.indexOf("\n");
    const name = end < 0 ? part : part.slice(0, end);
    sections.set(name.trim(), end < 0 ? "" : part.slice(end + 1).trim());
  }
  return sections;
}
