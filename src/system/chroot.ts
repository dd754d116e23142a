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

/** Parts of a base's tree that tools need; what lies elsewhere is the caller's. */
const toolDirectories = ["usr", "etc"];

/** Kernel interfaces of a root made for one command. /sys is empty: nothing may be decided by the machine that builds. */
const interfaces = `
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for n in null zero full random urandom tty; do : > "$root/dev/$n"; mount --bind "/dev/$n" "$root/dev/$n"; done
ln -s /proc/self/fd "$root/dev/fd"; ln -s fd/0 "$root/dev/stdin"; ln -s fd/1 "$root/dev/stdout"; ln -s fd/2 "$root/dev/stderr"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=555 tmpfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -p "$root/run/lock"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
`;

/**
 * In a user namespace the flags of the machine's own mounts (nosuid, nodev …) are locked, and must be named when one of
 * them becomes read-only.
 */
const readOnly = `
read_only() {
  mount -o remount,bind,ro "$1" 2>/dev/null ||
    mount -o "remount,bind,$(findmnt --noheadings --first-only --output VFS-OPTIONS --mountpoint "$1"),ro" "$1"
}
`;

/** Arguments: count of binds, then from, to and "ro" or "rw" of each; the rest is the command. */
const bindAndGo = `
n=$1; shift
while [ "$n" -gt 0 ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")"; [ -e "$root$2" ] || : > "$root$2"; fi
  mount --bind "$1" "$root$2"
  [ "$3" = rw ] || read_only "$root$2"
  shift 3; n=$((n - 1))
done
exec chroot "$root" "$@"
`;

const treeScript = `set -eu\nroot=$1; shift\n${readOnly}${interfaces}${bindAndGo}`;
const toolScript = `set -eu
base=$1; shift
${readOnly}root=/run/imgbuild-tools
[ -d /run ] || exit 1
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p "$root"
for d in dev proc sys run tmp var root; do mkdir "$root/$d"; done
for d in ${toolDirectories.join(" ")}; do mkdir "$root/$d"; mount --bind "$base/$d" "$root/$d"; read_only "$root/$d"; done
for l in bin sbin lib lib64; do ln -s "usr/$l" "$root/$l"; done
${interfaces}${bindAndGo}`;

/**
 * Runs a program with the tree as its root directory, in mount and process namespaces of its own: what it mounts and
 * starts is gone with it, whatever ends it. Needs root.
 */
export async function chrootRun(
  tree: string,
  argv: readonly string[],
  options: RunOptions & { readonly binds?: readonly Bind[] } = {},
): Promise<RunResult> {
  return await isolated(treeScript, tree, options.binds ?? [], argv, options);
}

/** Spares the wait for the disk after every file; what is built is flushed as a whole, or made anew. */
const eatmydata = "usr/lib/x86_64-linux-gnu/libeatmydata.so";
const eatmydataInside = "/run/imgbuild/libeatmydata.so";

/** `chrootRun` with the base's libeatmydata laid over the program, where the base has one. */
export async function treeRun(
  tree: string,
  baseTree: string | undefined,
  argv: readonly string[],
  options: RunOptions & { readonly binds?: readonly Bind[] } = {},
): Promise<RunResult> {
  const library = baseTree === undefined ? undefined : join(baseTree, eatmydata);
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
  await filterRun(isolatedArgv(toolScript, baseTree, [], argv), { shown: argv, ...options });
}

async function isolated(
  script: string,
  root: string,
  binds: readonly Bind[],
  argv: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  return await run(isolatedArgv(script, root, binds, argv), {
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
): string[] {
  const flags = ["--mount", "--propagation", "private", "--pid", "--ipc", "--fork", "--kill-child"];
  const words = binds.flatMap(({ from, to, readOnly }) => [from, to, readOnly ? "ro" : "rw"]);
  return ["unshare", ...flags, "sh", "-c", script, "imgbuild", root, String(binds.length), ...words, ...argv];
}
