import { existsSync } from "node:fs";
import { join } from "node:path";
import { Fail } from "../util/fail.ts";
import { type FilterOptions, filterRun } from "./filter.ts";
import { plainEnv, type RunOptions, type RunResult, run } from "./run.ts";

/** Something outside that a program sees inside of its own root. */
export interface Bind {
  readonly from: string;
  /** Absolute, inside. */
  readonly to: string;
  readonly readOnly?: boolean;
}

/** How a program of a tree runs. */
export interface TreeRunOptions extends RunOptions {
  readonly binds?: readonly Bind[];
  /** In a network namespace of its own, in which there is nothing. */
  readonly offline?: boolean;
  /** What it takes for the machine's name; else it sees that of the machine that builds. */
  readonly hostname?: string;
  /** Without libeatmydata, which would be seen in its environment. */
  readonly bare?: boolean;
}

/** Parts of a base's tree that tools need; what lies elsewhere is the caller's. */
const toolDirectories = ["usr", "etc"];

/**
 * Kernel interfaces of a root made for one command. /sys is empty: nothing may be decided by the machine that builds. One call
 * mounts them all: starting a program for each would take longer than most commands. Their list lies where a mount hides it.
 */
const interfaces = `
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for n in null zero full random urandom tty; do : > "$root/dev/$n"; done
ln -s -t "$root/dev" /proc/self/fd pts/ptmx
ln -s fd/0 "$root/dev/stdin"; ln -s fd/1 "$root/dev/stdout"; ln -s fd/2 "$root/dev/stderr"
mkdir "$root/dev/pts" "$root/dev/shm"
printf %s "$mounts" > "$root/dev/shm/mounts"
mount --all --fstab "$root/dev/shm/mounts"
mkdir "$root/run/lock"
`;

/** fstab(5) of these interfaces below `root`. */
function interfaceMounts(root: string): string {
  const at = (path: string) =>
    (root + path).replace(/[\\\s]/g, (odd) => `\\${odd.charCodeAt(0).toString(8).padStart(3, "0")}`);
  const nodes = ["null", "zero", "full", "random", "urandom", "tty"];
  return [
    ...nodes.map((name) => `/dev/${name} ${at(`/dev/${name}`)} none bind`),
    `devpts ${at("/dev/pts")} devpts newinstance,ptmxmode=0666,mode=620`,
    `tmpfs ${at("/dev/shm")} tmpfs mode=1777`,
    `proc ${at("/proc")} proc defaults`,
    `tmpfs ${at("/sys")} tmpfs mode=555`,
    `tmpfs ${at("/run")} tmpfs mode=755`,
    `tmpfs ${at("/tmp")} tmpfs mode=1777`,
    "",
  ].join("\n");
}

/**
 * In a user namespace the flags of the machine's own mounts (nosuid, nodev …) are locked, and must be named when one of
 * them becomes read-only.
 */
const readOnly = `
bind_read_only() {
  mount -o bind,ro "$1" "$2" 2>/dev/null && return
  findmnt --mountpoint "$2" >/dev/null || mount --bind "$1" "$2"
  mount -o "remount,bind,$(findmnt --noheadings --first-only --output VFS-OPTIONS --mountpoint "$2"),ro" "$2"
}
`;

/** Arguments: count of binds, then from, to and "ro" or "rw" of each; the rest is the command. */
const bindAndGo = `
n=$1; shift
while [ "$n" -gt 0 ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$root\${2%/*}"; [ -e "$root$2" ] || : > "$root$2"; fi
  if [ "$3" = rw ]; then mount --rbind "$1" "$root$2"; else bind_read_only "$1" "$root$2"; fi
  shift 3; n=$((n - 1))
done
exec chroot "$root" "$@"
`;

/** The name is the namespace's own then. */
const named = `[ -z "$hostname" ] || printf %s "$hostname" > /proc/sys/kernel/hostname\n`;

const treeScript = `set -eu\nroot=$1 mounts=$2 hostname=$3; shift 3\n${named}${readOnly}${interfaces}${bindAndGo}`;
const toolRoot = "/run/imgbuild-tools";
const toolScript = `set -eu
base=$1 mounts=$2; shift 3
${readOnly}root=${toolRoot}
[ -d /run ] || exit 1
mount -t tmpfs -o mode=755 tmpfs /run
mkdir "$root"
cd "$root"
mkdir dev proc sys run tmp var root ${toolDirectories.join(" ")}
for d in ${toolDirectories.join(" ")}; do bind_read_only "$base/$d" "$root/$d"; done
ln -s usr/bin usr/sbin usr/lib usr/lib64 .
cd /
${interfaces}${bindAndGo}`;

/**
 * Runs a program with the tree as its root directory, in mount and process namespaces of its own: what it mounts and
 * starts is gone with it, whatever ends it. Needs root.
 */
export async function chrootRun(
  tree: string,
  argv: readonly string[],
  options: TreeRunOptions = {},
): Promise<RunResult> {
  return await isolated(treeScript, tree, options.binds ?? [], argv, options);
}

/** Spares the wait for the disk after every file; what is built is flushed as a whole, or made anew. */
export const eatmydata = "usr/lib/x86_64-linux-gnu/libeatmydata.so";
const eatmydataInside = "/run/imgbuild/libeatmydata.so";

/** `chrootRun` with the base's libeatmydata laid over the program, where the base has one. */
export async function treeRun(
  tree: string,
  baseTree: string | undefined,
  argv: readonly string[],
  options: TreeRunOptions = {},
): Promise<RunResult> {
  const library = baseTree === undefined || options.bare ? undefined : join(baseTree, eatmydata);
  if (library === undefined || !existsSync(library)) return await chrootRun(tree, argv, options);
  const binds = [...(options.binds ?? []), { from: library, to: eatmydataInside, readOnly: true }];
  return await chrootRun(tree, ["/usr/bin/env", `LD_PRELOAD=${eatmydataInside}`, ...argv], {
    ...options,
    binds,
    shown: argv,
  });
}

/** Runs a tool of the base's tree, which stays as it is. `binds` are what it works on, at the same paths inside. */
export async function toolRun(
  baseTree: string,
  argv: readonly string[],
  options: RunOptions & { readonly binds: readonly Bind[] },
): Promise<RunResult> {
  for (const { to } of options.binds)
    if (toolDirectories.includes(to.split("/")[1] ?? ""))
      throw new Fail(`${to} lies where the tools' own files are`, {
        hint: "build into a directory elsewhere",
      });
  return await isolated(toolScript, baseTree, options.binds, argv, options);
}

/** Runs a tool of the base's tree as a filter; it sees nothing but that tree. */
export async function toolFilter(
  baseTree: string,
  argv: readonly string[],
  options: FilterOptions,
): Promise<void> {
  await filterRun(isolatedArgv(toolScript, baseTree, [], argv, {}), { shown: argv, ...options });
}

async function isolated(
  script: string,
  root: string,
  binds: readonly Bind[],
  argv: readonly string[],
  options: TreeRunOptions,
): Promise<RunResult> {
  return await run(isolatedArgv(script, root, binds, argv, options), {
    ...options,
    env: options.env ?? plainEnv,
    shown: options.shown ?? argv,
  });
}

function isolatedArgv(
  script: string,
  root: string,
  binds: readonly Bind[],
  argv: readonly string[],
  { offline = false, hostname = "" }: Pick<TreeRunOptions, "offline" | "hostname">,
): string[] {
  const flags = [
    ...(offline ? ["--net"] : []),
    ...(hostname === "" ? [] : ["--uts"]),
    "--mount",
    "--propagation",
    "private",
    "--pid",
    "--ipc",
    "--fork",
    "--kill-child",
  ];
  const mounts = interfaceMounts(script === toolScript ? toolRoot : root);
  const words = binds.flatMap(({ from, to, readOnly }) => [from, to, readOnly ? "ro" : "rw"]);
  return [
    "unshare",
    ...flags,
    "sh",
    "-c",
    script,
    "imgbuild",
    root,
    mounts,
    hostname,
    String(binds.length),
    ...words,
    ...argv,
  ];
}
