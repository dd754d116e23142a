import type { HostScript } from "../../transport/script.ts";

/** What the old system lets itself be used for is bounded: by this, by the room that was agreed, and by our connection. */
export const treeSeconds = 7_200;

/**
 * Runs in namespaces of its own for mounts and processes, so that with its first process all is gone: programs, mounts, loop devices and
 * the file on the disk, which has no name any more. Its root is the base's, as in the base: a squashfs with an overlay. It has no disk among
 * its devices, and /sys is read-only. `$d`, `$source` and so on are those of the script around it.
 */
const insideText = `
set -eu
d=$1 source=$2 stage=$3 on=$4 mib=$5 offset=$6
PATH=$PATH:/usr/sbin:/sbin
b=$d/build
busybox=$d/busybox
# The old system's /proc is still here, so this is our number in it.
read -r pid rest < /proc/self/stat
echo "$pid" > "$b/pid"
"$busybox" stat -L -c %i /proc/self/ns/pid > "$b/namespace"
cd /
"$busybox" renice -n 19 -p $$ > /dev/null
{ echo 19 > /proc/self/autogroup; } 2> /dev/null || :
"$busybox" ionice -t -c 3 -p $$
echo 1000 > /proc/self/oom_score_adj
mount() { "$busybox" mount "$@"; }
modprobe loop 2> /dev/null || :
loop=
for each in 1 2 3 4 5; do
  loop=$("$busybox" losetup -f)
  # Another may have taken it meanwhile.
  ! "$busybox" losetup -r -o "$offset" "$loop" "$source/squashfs" || break
  loop=
done
[ -n "$loop" ] || { echo "no loop device could be had" >&2; exit 1; }
echo "\${loop#/dev/} \${source##*/}/squashfs" > "$b/loops"
mount -t squashfs -o ro "$loop" "$b/base" || { "$busybox" losetup -d "$loop"; exit 1; }
# A device that is in use goes with its last user.
"$busybox" losetup -d "$loop"
if [ "$on" = disk ]; then
  mount -t proc proc "$b/base/proc"
  mount -o bind "$stage" "$b/base/mnt"
  "$busybox" fallocate -l "$((mib * 1048576))" "$stage/build.img"
  "$busybox" chroot "$b/base" /usr/sbin/mke2fs -q -F -t ext4 -m 0 -i 8192 \\
    -O ^has_journal,^orphan_file,^metadata_csum_seed -E lazy_itable_init=0,nodiscard /mnt/build.img
  "$busybox" umount "$b/base/mnt"
  mount -t ext4 "$stage/build.img" "$b/work"
  for each in /sys/block/loop*/loop/backing_file; do
    ! grep -q "/\${stage##*/}/build\\.img" "$each" || echo "$(echo "$each" | cut -d / -f 4) \${stage##*/}/build.img" >> "$b/loops"
  done
  rm -f "$stage/build.img"
else
  mount -t tmpfs -o "mode=700,size=\${mib}m" imgbuild "$b/work"
fi
cd "$b/work"
mkdir upper own tree
mkdir -p run/imgbuild/out
cd /
root=$b/root
mount -t overlay -o "lowerdir=$b/base,upperdir=$b/work/upper,workdir=$b/work/own" overlay "$root"
mkdir -p "$root/mnt/target" "$root/oldroot"
mount -o bind "$b/work/tree" "$root/mnt/target"
mount -o bind "$b/work/run" "$root/run"
mount -o bind "$stage" "$root/run/imgbuild/out"
mount -t proc proc "$root/proc"
mount -o bind /sys "$root/sys"
mount -o remount,bind,ro "$root/sys"
# Control groups count the processes of each build.
[ ! -d /sys/fs/cgroup ] || mount -o rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755,size=1m dev "$root/dev"
for each in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
  minor=\${each##*:} name=\${each%%:*}
  major=\${each#*:}
  "$busybox" mknod -m 666 "$root/dev/$name" c "\${major%:*}" "$minor"
done
mkdir "$root/dev/pts" "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
for each in resolv.conf hosts; do
  rm -f "$root/etc/$each"
  if [ -r "/etc/$each" ]; then cat "/etc/$each" > "$root/etc/$each"; fi
done
chmod 644 "$root"/etc/resolv.conf "$root"/etc/hosts 2> /dev/null || :
cp "$d/job.json" "$d/job.tar.gz" "$b/imgbuild/runner.cjs" "$b/work/run/imgbuild/"
chmod 755 "$b/work/run" "$root"
cd "$root"
"$busybox" pivot_root . oldroot
/usr/bin/busybox umount -l /oldroot
cd /
umask 022
# Not in place of this shell: the first process looks after those that lost their parent.
/usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \\
  /usr/bin/node /run/imgbuild/runner.cjs tree
exit
`;

/**
 * What has made a tree is gone with its first process, but for what the kernel takes back by and by: loop devices, and the control groups
 * of programs that were killed (see system/door/process-bound). `$b` is where it worked; nothing is mounted there but in its namespace.
 */
const clearTreeText = `
clear_tree() {
  namespace= n=0
  { read -r namespace < "$b/namespace" || :; } 2>/dev/null
  while [ "$n" -lt 60 ]; do
    busy=
    if [ -n "$namespace" ]; then
      for group in $(find /sys/fs/cgroup -maxdepth 8 -type d -name "imgbuild-$namespace-*" 2>/dev/null); do
        rmdir "$group" 2>/dev/null || busy=yes
      done
    fi
    if [ -f "$b/loops" ]; then
      while read -r loop file; do
        case $(cat "/sys/block/$loop/loop/backing_file" 2>/dev/null) in *"/$file"*) busy=yes ;; esac
      done < "$b/loops"
    fi
    [ -n "$busy" ] || break
    sleep 1
    n=$((n + 1))
  done
  for each in "$b"/base "$b"/work "$b"/root; do [ ! -e "$each" ] || rmdir "$each" || return 0; done
  rm -rf "$b"
}
`;

/** Ends what makes a tree, and waits until that has cleared up; `$d` is the work directory. Never fails. */
export const stopTreeText = `
${clearTreeText}
stop_tree() {
  b=$d/build
  for each in watch pid; do
    at=
    { read -r at rest < "$b/$each"; } 2>/dev/null || :
    [ -n "$at" ] && grep -q "imgbuild-make-tree\\|$b/inside" "/proc/$at/cmdline" 2>/dev/null || continue
    if [ "$each" = pid ]; then kill -KILL "$at" || :; else kill -TERM "$at" || :; fi
    n=0
    while [ -e "$b" ] && grep -q . "/proc/$at/cmdline" 2>/dev/null && [ "$n" -lt 60 ]; do sleep 1; n=$((n + 1)); done
  done
  # Where the one that watches was killed itself.
  if [ -d "$b" ]; then clear_tree; fi
}
`;

/**
 * Makes a tree by the base's own programs, beside the running system, and leaves it as `tree` in `$3`; nothing else stays. It says on stdout how it
 * goes. A line each second shows whether somebody still listens; without that, after `$6` seconds, or by a signal, it ends, and
 * clears up. `$1` is the work directory, with job and BusyBox; `$2` where the base is; `$4` and `$5` where it works ("memory", "disk")
 * and in how many MiB; `$7` at which byte of its archive the squashfs begins.
 */
export const makeTreeScript: HostScript = {
  name: "make-tree",
  text: `
set -u
umask 077
d=$1 source=$2 stage=$3 on=$4 mib=$5 left=$6 offset=$7
b=$d/build
busybox=$d/busybox
${clearTreeText}
clear_up() {
  rm -f "$stage/tree.part" "$stage/build.img" "$d/job.json" "$d/job.tar.gz"
  clear_tree
  rm -f "$busybox"
}
stop() {
  n=0
  while [ ! -e "$b/code" ] && [ "$n" -lt 20 ]; do
    at=
    { read -r at rest < "$b/pid"; } 2>/dev/null
    [ -z "$at" ] || kill -KILL "$at" 2>/dev/null
    sleep 1
    n=$((n + 1))
  done
}
mkdir "$b" "$b/base" "$b/work" "$b/root" || exit 1
echo $$ > "$b/watch"
trap 'stop; clear_up; exit 143' HUP INT TERM
cat > "$b/inside" <<'INSIDE'
${insideText}
INSIDE
(cd "$b" && "$busybox" cpio -id imgbuild/runner.cjs < "$source/outer" 2>/dev/null)
{ "$busybox" unshare -m -p -f "$busybox" sh "$b/inside" "$d" "$source" "$stage" "$on" "$mib" "$offset"
  echo $? > "$b/code.part"; mv "$b/code.part" "$b/code"; } </dev/null &
trap '' PIPE
why=
while [ ! -e "$b/code" ]; do
  sleep 1
  left=$((left - 1))
  if [ "$left" -le 0 ]; then why="it took longer than $6 s"; stop; break; fi
  if ! echo 2>/dev/null; then why="the connection to the operator is lost"; stop; break; fi
done
code=1
{ read -r code < "$b/code"; } 2>/dev/null
[ "$code" = 0 ] || rm -f "$stage/tree"
clear_up
if [ -n "$why" ]; then echo "$why" >&2; exit 1; fi
exit "$code"
`,
};
