import { joinInitrd, type Left, runDetached } from "./way.ts";

/** What all boot entries have in common: files on the old system's own disk, and a restart. */

/** Directory of kernel and initramfs beside a bootloader's files, and the name of what leads to them there. */
export const ownName = "imgbuild-takeover";
/** The firmware's variable that names the base's kernel. Its number is high, as firmware and systems count from 0. */
export const firmwareOption = {
  number: "1B6D",
  title: "imgbuild: the base of a deploy",
  vendor: "8be4df61-93ca-11d2-aa0d-00e098032b8c",
} as const;
/** Marks of our lines in a file that may have others. */
export const [began, ended] = [`# ${ownName}: begin`, `# ${ownName}: end`];
/** Stays free on the filesystem that takes the base; KiB. */
const reserveKib = 8 * 1024;

/** Removes what a deploy has put beside the bootloaders of the old system, whichever it was, and when. */
export const removeEntries = `
remove_entries() {
  for at in /boot/grub /boot/grub2; do
    custom=$at/custom.cfg
    if grep -q '^${began}$' "$custom" 2>/dev/null; then
      cp -p "$custom" "$custom.imgbuild"
      sed '/^${began}$/,/^${ended}$/d' "$custom" > "$custom.imgbuild"
      if [ -s "$custom.imgbuild" ]; then mv "$custom.imgbuild" "$custom"; else rm -f "$custom" "$custom.imgbuild"; fi
    fi
    rm -rf "$at/${ownName}"
  done
  for at in /efi /boot /boot/efi; do
    rm -f "$at/loader/entries/${ownName}.conf"
    rm -rf "$at/${ownName}"
  done
  for name in Boot${firmwareOption.number} BootNext; do
    variable=/sys/firmware/efi/efivars/$name-${firmwareOption.vendor}
    # The other one is somebody else's, unless the first is there.
    [ -e "$variable" ] || break
    chattr -i "$variable"
    rm -f "$variable"
  done
}`;

/**
 * The beginning of `load`: kernel and initramfs go to a directory of their own in `$4`, for root's eyes only, as the initramfs has the
 * base's host key. Nothing leads to them yet. What an earlier deploy left is gone, see `prepare`.
 */
export const placeFiles = `
set -eu
umask 077
d=$1 source=$2 entry=$3 place=$4
${joinInitrd}
own=$place/${ownName}
kib() { du -ck "$@" | sed -n '$s/[^0-9].*//p'; }
need=$(kib "$source/kernel" "$source/outer" "$source/squashfs" "$source/kit" "$d"/part?)
for tree in "$d/tree" "$source/tree"; do
  [ ! -f "$tree" ] || need=$((need + $(kib "$tree")))
done
# Two of them are in the initramfs once more.
need=$((need + $(kib "$source/kernel" "$source/outer") + ${reserveKib}))
set -- $(df -Pk "$place" | sed 1d)
if [ "$4" -lt "$need" ]; then
  echo "$place has $(($4 / 1024)) MiB free; base and deploy need $((need / 1024 + 1))" >&2
  exit 1
fi
mkdir "$own"
case $(ls -ld "$own") in
  drwx------*) ;;
  *) echo "every user of the host could read what is put into $place" >&2; rmdir "$own"; exit 1 ;;
esac
cat "$source/kernel" > "$own/kernel"
join_initrd "$own/initrd"
`;

/** The end of `jump`, once the entry is armed: the old system ends as at any restart. What was taken back meanwhile is left alone. */
export const restart = `
sync
cat > "$d/jump" <<'JUMP'
set -u
sleep 1
[ -d "$3" ] || exit 0
if [ -d /run/systemd/system ] && systemctl reboot; then :; else reboot; fi
sleep 120
[ -d "$3" ] || exit 0
sync
echo u > "$2" 2>/dev/null || true
echo b > "$2"
JUMP
${runDetached}
run_detached "$d" "$trigger" "$place/${ownName}"
`;

export const entryHints = {
  stayed: "the host's log may say why it did not restart; `systemctl list-jobs` shows what it waits for",
  cameBack:
    "nothing was written; its bootloader passed over the entry or could not start it, as the console would show, or the base went back by itself; --takeover kexec goes another way",
} as const;

export function leftIn(directory: string): Left {
  return {
    what: `the base's files are still in ${directory}/${ownName}`,
    remedy: "the next deploy removes them, and what leads to them",
  };
}
