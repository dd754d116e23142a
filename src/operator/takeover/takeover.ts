import type { Host } from "../../transport/host.ts";
import { type HostScript, scriptArgv } from "../../transport/script.ts";
import { sha256 } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { stopTreeText } from "./tree-script.ts";
import { removeEntries } from "./ways/boot-entry.ts";
import { unloadText } from "./ways/kexec.ts";
import { cacheReserveMib } from "./ways/memory.ts";
import type { Left, Way } from "./ways/way.ts";

/** Everything of a deploy on the old system lives here, in RAM; unmounting it leaves nothing. */
export const workDir = "/run/imgbuild";
/** The base is kept between deploys where there is room. */
export const cacheDir = "/var/cache/imgbuild";

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

export interface FileInfo {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

/** A tmpfs of our own, executable unlike /run, closed to everybody but root; what a lost run left there, in /boot or the cache is removed. */
const prepareScript: HostScript = {
  name: "prepare",
  text: `
set -eu
umask 077
d=$1
${stopTreeText}
stop_tree
rm -f "$3"/*/tree "$3"/*/tree.part "$3"/*/build.img "$3"/*/initrd
mkdir -p "$d"
if grep -q " $d tmpfs " /proc/mounts; then mount -o "remount,size=$2m" "$d"; rm -rf "$d"/*
else mount -t tmpfs -o "mode=0700,size=$2m" imgbuild "$d"; fi
${removeEntries}
remove_entries
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

/** Takes back what was prepared: a tree in the making, the loaded kernel, a boot entry, the claim and the tmpfs. The cache of the base stays. */
const undoScript: HostScript = {
  name: "undo",
  text: `
d=$1
${stopTreeText}
stop_tree
rm -f "$2"/*/tree "$2"/*/tree.part "$2"/*/build.img "$2"/*/initrd
${unloadText}
${removeEntries}
remove_entries
rm -f "$d.lock"
umount -l "$d" && rmdir "$d"
`,
};

const minute = 60_000;
/** A tree in the making is ended, and what the kernel takes back of it is waited for. */
const stopMs = 4 * minute;
/** Writing some hundred MiB to a slow disk, and reading them again. */
const stageMs = 10 * minute;

/** Mounts the work directory, `mib` large. */
export async function prepare(host: Host, mib: number, signal: AbortSignal): Promise<void> {
  await script(host, prepareScript, [workDir, String(mib), cacheDir], { timeoutMs: stopMs, signal });
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

/** What of a deploy the base is loaded from. */
interface Loading {
  /** Where the base's files are, see `shipBase`. */
  readonly directory: string;
  /** See `deployParts`. */
  readonly parts: readonly Uint8Array[];
  readonly commandLine: readonly string[];
}

/** Puts base and deploy data together and makes them ready by `way`; nothing is started yet. */
export async function loadBase(
  host: Host,
  way: Way,
  { directory, parts, commandLine }: Loading,
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
  const words = [workDir, directory, way.entry(commandLine), ...way.at];
  const result = await script(host, way.load, words, {
    timeoutMs: stageMs,
    signal,
    accept: [0, 1, 2, 255],
  });
  if (result.code !== 0)
    throw new Fail(`the host did not load the base's kernel\n${result.stderr.trim().slice(-1000)}`, {
      hint: "dmesg on the host says why; the old system is untouched",
    });
}

/** Starts the base a second from now; by `trigger` the kernel stops writing to its disks. */
export async function jump(
  host: Host,
  way: Way,
  signal: AbortSignal,
  trigger = "/proc/sysrq-trigger",
): Promise<void> {
  await script(host, way.jump, [workDir, trigger, ...way.at], { timeoutMs: minute, signal });
}

/** Leaves the old system as it was found, the cached base aside. Never throws: it runs after a failure. */
export async function undo(host: Host): Promise<void> {
  try {
    await script(host, undoScript, [workDir, cacheDir], { timeoutMs: stopMs, accept: [0, 1, 32] });
  } catch {
    // The host may be gone; what is on it is in RAM.
  }
}

/** The same when the old system answers again. Nobody may be there to type a password, so none is asked for. */
export async function takeBack(host: Host, left: Left, log: Pick<Log, "warn">): Promise<void> {
  if ((await host.becomeRoot({})) === "impossible") log.warn(`${left.what} on ${host.name}: ${left.remedy}`);
  else await undo(host);
}

async function script(
  host: Host,
  toRun: HostScript,
  args: readonly string[],
  options: { timeoutMs: number; signal?: AbortSignal; accept?: readonly number[] },
) {
  return await host.exec(scriptArgv(toRun, args), { root: true, ...options });
}

/** A file of ours, as the host gets it whole. */
export async function upload(
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
