import { joinInitrd, runDetached, type Way } from "./way.ts";

/** The kit is unpacked to `loader`: its own file may be beside it. */
function loadText(options: string): string {
  return `
set -eu
umask 077
d=$1 source=$2
${joinInitrd}
mkdir -p "$d/loader"
tar -xzf "$source/kit" -C "$d/loader"
# A tree that is on the disk does not go to RAM.
initrd=$d/initrd
[ ! -f "$source/tree" ] || initrd=$source/initrd
trap 'rm -f "$initrd"' EXIT
join_initrd "$initrd"
kexec() { "$d/loader/ld.so" --library-path "$d/loader/lib" "$d/loader/kexec" "$@"; }
kexec --load${options} "$source/kernel" --initrd="$initrd" --command-line="$3"
rm -f "$initrd"
[ "$(cat /sys/kernel/kexec_loaded)" = 1 ]
`;
}

/**
 * The jump happens after the answer is out; systemd stops services and unmounts first, so the old disks are clean. What was taken back
 * in the meantime is left alone. A kexec that comes back would leave the old system with read-only disks: then it is restarted.
 */
const jumpText = `
set -eu
d=$1 trigger=$2
${runDetached}
sync
cat > "$d/jump" <<'JUMP'
set -u
loaded() { [ "$(cat /sys/kernel/kexec_loaded 2>/dev/null)" = 1 ]; }
sleep 1
loaded || exit 0
if [ -d /run/systemd/system ] && systemctl kexec; then sleep 120; fi
loaded || exit 0
sync
echo u > "$2" 2>/dev/null || true
"$1/loader/ld.so" --library-path "$1/loader/lib" "$1/loader/kexec" --exec || true
echo b > "$2"
JUMP
run_detached "$d" "$trigger"
`;

const hints = {
  stayed:
    "`journalctl -b -u kexec` and dmesg on the host may say why kexec did not happen; --takeover boot-entry goes another way",
  cameBack:
    "nothing was written; the console's log and the base's dead-man timer show more; where kexec hangs, --takeover boot-entry goes another way",
} as const;

/** Takes back a kernel that was loaded and not started. */
export const unloadText = `[ -x "$d/loader/kexec" ] && "$d/loader/ld.so" --library-path "$d/loader/lib" "$d/loader/kexec" --unload`;

/** The running kernel starts the base's. */
export const kexec: Way = {
  name: "kexec",
  load: { name: "stage", text: loadText("") },
  entry: (commandLine) => commandLine.join(" "),
  jump: { name: "jump", text: jumpText },
  at: [],
  throughFirmware: false,
  hints,
  left: {
    what: "the base's kernel is still loaded",
    remedy: "`kexec --unload` as root takes it back",
  },
};

/** The same for a kernel that starts only what is signed: it reads the base's kernel itself and checks the signature, which is Debian's. */
export const kexecFile: Way = {
  ...kexec,
  name: "kexec-file",
  load: { name: "stage", text: loadText(" --kexec-file-syscall") },
};
