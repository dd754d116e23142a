import type { Host } from "../../transport/host.ts";
import { type HostScript, scriptArgv } from "../../transport/script.ts";
import { sha256 } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";

/** Everything of a deploy on the old system lives here, in RAM; unmounting it leaves nothing. */
export const workDir = "/run/imgbuild";
/** The base is kept between deploys where there is room. */
export const cacheDir = "/var/cache/imgbuild";
/** More than this must stay free on the cache's filesystem. */
const cacheReserveMib = 256;

export interface BaseFiles {
  readonly digest: string;
  /** Absolute paths on the operator's machine, with size in bytes and SHA-256. See `packBase`. */
  readonly kernel: FileInfo;
  readonly outer: FileInfo;
  readonly squashfs: FileInfo;
  readonly kit: FileInfo;
  /** A static program of many names, of which one is sha256sum. */
  readonly busybox: FileInfo;
}

interface FileInfo {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

/** A tmpfs of our own, executable unlike /run, closed to everybody but root; what a lost run left there is removed. */
const prepareScript: HostScript = {
  name: "prepare",
  text: `
set -eu
umask 077
d=$1
mkdir -p "$d"
if grep -q " $d tmpfs " /proc/mounts; then mount -o "remount,size=$2m" "$d"; rm -rf "$d"/*
else mount -t tmpfs -o "mode=0700,size=$2m" imgbuild "$d"; fi
`,
};

/** Answers which cached file is whole: prints the names of those whose SHA-256 is right, by a program that we brought. */
const cachedScript: HostScript = {
  name: "look-in-cache",
  text: `
set -eu
d=$1 busybox=$2
shift 2
while [ $# -gt 1 ]; do
  sum=
  [ ! -f "$d/$1" ] || sum=$("$busybox" sha256sum "$d/$1")
  if [ "\${sum%% *}" = "$2" ]; then echo "$1"; fi
  shift 2
done
rm -f "$busybox"
`,
};

/** A base of another version is of no use any more when this one comes. */
const makeRoomScript: HostScript = {
  name: "make-room",
  text: `
set -eu
mkdir -p -m 0755 "$1"
: > "$1/.room"
rm -f "$1/.room"
for d in "\${1%/*}"/*; do [ "$d" = "$1" ] || rm -rf "$d"; done
`,
};

/**
 * The initramfs: the base, then its own small files once more, so that the new system can keep the base, then the deploy.
 * Copies in RAM go as soon as they are in it. The kit is unpacked to `loader`: its own file may be beside it.
 */
const stageScript: HostScript = {
  name: "stage",
  text: `
set -eu
umask 077
d=$1 source=$2
mkdir -p "$d/loader"
tar -xzf "$source/kit" -C "$d/loader"
cat "$source/outer" "$source/squashfs" > "$d/initrd"
[ "$source" != "$d" ] || rm -f "$d/squashfs"
cat "$d/part0" "$source/kernel" "$d/part1" "$source/outer" "$d/part2" "$source/kit" "$d/part3" >> "$d/initrd"
rm -f "$d"/part?
kexec() { "$d/loader/ld.so" --library-path "$d/loader/lib" "$d/loader/kexec" "$@"; }
kexec --load "$source/kernel" --initrd="$d/initrd" --command-line="$3"
rm -f "$d/initrd"
[ "$(cat /sys/kernel/kexec_loaded)" = 1 ]
`,
};

/**
 * The jump happens after the answer is out; systemd stops services and unmounts first, so the old disks are clean. What was taken back
 * in the meantime is left alone. A kexec that comes back would leave the old system with read-only disks: then it is restarted.
 */
const jumpScript: HostScript = {
  name: "jump",
  text: `
set -eu
d=$1 trigger=$2
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
if command -v setsid >/dev/null 2>&1; then setsid sh "$d/jump" "$d" "$trigger" </dev/null >/dev/null 2>&1 &
else nohup sh "$d/jump" "$d" "$trigger" </dev/null >/dev/null 2>&1 &
fi
`,
};

/** Takes back what was prepared: the loaded kernel, the claim and the tmpfs. The cache of the base stays. */
const undoScript: HostScript = {
  name: "undo",
  text: `
d=$1
[ -x "$d/loader/kexec" ] && "$d/loader/ld.so" --library-path "$d/loader/lib" "$d/loader/kexec" --unload
rm -f "$d.lock"
umount -l "$d" && rmdir "$d"
`,
};

const minute = 60_000;

/** Mounts the work directory, `mib` large. */
export async function prepare(host: Host, mib: number, signal: AbortSignal): Promise<void> {
  await script(host, prepareScript, [workDir, String(mib)], { timeoutMs: minute, signal });
}

/** The base's files by name, in the order in which they are sent. */
function filesOf(base: BaseFiles): readonly (readonly [string, FileInfo])[] {
  return [
    ["kit", base.kit],
    ["kernel", base.kernel],
    ["outer", base.outer],
    ["squashfs", base.squashfs],
  ];
}

/** Bytes of the whole base. */
export function sizeOf(base: BaseFiles): number {
  return filesOf(base).reduce((sum, [, file]) => sum + file.size, 0);
}

/**
 * Brings to the host what its cache has not; returns where it all is, whether the cache had it, and the bytes sent. It goes to the
 * cache when that has room, else to RAM.
 */
export async function shipBase(
  host: Host,
  base: BaseFiles,
  cacheFreeMib: number,
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<{ directory: string; hadAll: boolean; sentBytes: number }> {
  const cached = `${cacheDir}/${base.digest}`;
  const files = filesOf(base);
  const there = await cachedFiles(host, base, cached, signal);
  const lacking = files.filter(([name]) => !there.has.has(name));
  if (lacking.length === 0) return { directory: cached, hadAll: true, sentBytes: there.sentBytes };
  const bytesOf = (some: typeof files) => some.reduce((sum, [, file]) => sum + file.size, 0);
  const fits =
    cacheFreeMib - bytesOf(lacking) / 2 ** 20 > cacheReserveMib && (await makeRoom(host, cached, signal));
  const directory = fits ? cached : workDir;
  const sending = fits ? lacking : files;
  const total = bytesOf(sending);
  let before = 0;
  for (const [name, file] of sending) {
    const start = before;
    await upload(host, file, `${directory}/${name}`, signal, {
      onProgress: (done) => onProgress(start + done, total),
    });
    before += file.size;
  }
  return { directory, hadAll: false, sentBytes: there.sentBytes + before };
}

/**
 * Names of the files that are whole in the host's cache. They are compared by our own program: the host's may be missing, another's, or
 * broken. A host that is its attacker's can deceive it too (docs/SECURITY.md).
 */
async function cachedFiles(
  host: Host,
  base: BaseFiles,
  cached: string,
  signal: AbortSignal,
): Promise<{ has: ReadonlySet<string>; sentBytes: number }> {
  const test = ["test", "-d", cached];
  const { code } = await host.exec(test, { root: true, timeoutMs: minute, signal, accept: [0, 1] });
  if (code !== 0) return { has: new Set(), sentBytes: 0 };
  const busybox = `${workDir}/busybox`;
  await upload(host, base.busybox, busybox, signal, { mode: 0o700 });
  const wanted = filesOf(base).flatMap(([name, file]) => [name, file.sha256]);
  const { stdout } = await script(host, cachedScript, [cached, busybox, ...wanted], {
    timeoutMs: 5 * minute,
    signal,
  });
  return { has: new Set(stdout.split("\n")), sentBytes: base.busybox.size };
}

/** False where nothing can be written, as on a read-only root. */
async function makeRoom(host: Host, cached: string, signal: AbortSignal): Promise<boolean> {
  const { code } = await script(host, makeRoomScript, [cached], {
    timeoutMs: minute,
    signal,
    accept: [0, 1, 2],
  });
  return code === 0;
}

/** Puts base and deploy data together and loads the base's kernel; nothing is started yet. See `deployParts`. */
export async function loadBase(
  host: Host,
  directory: string,
  parts: readonly Uint8Array[],
  commandLine: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const [index, part] of parts.entries())
    await host.upload(part, `${workDir}/part${index}`, {
      mode: 0o600,
      size: part.length,
      sha256: sha256(part),
      root: true,
      signal,
    });
  const result = await script(host, stageScript, [workDir, directory, commandLine.join(" ")], {
    timeoutMs: 5 * minute,
    signal,
    accept: [0, 1, 2, 255],
  });
  if (result.code !== 0)
    throw new Fail(`the host did not load the base's kernel\n${result.stderr.trim().slice(-1000)}`, {
      hint: "dmesg on the host says why; the old system is untouched",
    });
}

/** Starts the base a second from now; by `trigger` the kernel stops writing to its disks. */
export async function jump(host: Host, signal: AbortSignal, trigger = "/proc/sysrq-trigger"): Promise<void> {
  await script(host, jumpScript, [workDir, trigger], { timeoutMs: minute, signal });
}

/** Leaves the old system as it was found, the cached base aside. Never throws: it runs after a failure. */
export async function undo(host: Host): Promise<void> {
  try {
    await script(host, undoScript, [workDir], { timeoutMs: minute, accept: [0, 1, 32] });
  } catch {
    // The host may be gone; what is on it is in RAM.
  }
}

async function script(
  host: Host,
  toRun: HostScript,
  args: readonly string[],
  options: { timeoutMs: number; signal?: AbortSignal; accept?: readonly number[] },
) {
  return await host.exec(scriptArgv(toRun, args), { root: true, ...options });
}

async function upload(
  host: Host,
  file: FileInfo,
  to: string,
  signal: AbortSignal,
  options: { readonly mode?: number; readonly onProgress?: (done: number) => void } = {},
): Promise<void> {
  await host.upload(file.path, to, {
    mode: 0o600,
    size: file.size,
    sha256: file.sha256,
    root: true,
    signal,
    ...options,
  });
}
