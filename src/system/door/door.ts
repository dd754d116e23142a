import { Fail } from "../../util/fail.ts";
import { type FilterOptions, filterRun } from "../run/filter.ts";
import type { Given } from "../run/pipes.ts";
import { plainEnv, type RunOptions, type RunResult, run } from "../run/run.ts";
import { realUid } from "../user/user-namespace.ts";
import { doorFilter } from "./filter.ts";
import { doorNamespace } from "./namespace.ts";
import { boundArgv, type ProcessBound, processBound } from "./process-bound.ts";

/** What a program behind the door sees, and how it runs there. */
export interface Room {
  /** bubblewrap's options that build its root directory. */
  readonly layout: readonly string[];
  /** What it sees as the machine's name. */
  readonly hostname: string;
  /** The machine's network; else one of its own, in which there is nothing but itself. */
  readonly network?: boolean;
}

/** What root needs to own, change and give away files. None of them is valid outside of the door's user namespace. */
const capabilities = [
  ...["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETFCAP"],
  ...["KILL", "SETGID", "SETUID", "SETPCAP", "SYS_CHROOT", "NET_BIND_SERVICE"],
];

/** Descriptors of bubblewrap: its options, the filter, and the user namespace. */
const [optionsFd, filterFd, namespaceFd] = [3, 4, 5];

/**
 * Kernel interfaces. /sys is empty: nothing may be decided by the machine that builds. /proc is read-only as a whole: most of its files ask
 * who the user is, and not for a right.
 */
export const interfaces: readonly string[] = [
  ...["--proc", "/proc", "--remount-ro", "/proc"],
  ...["--dev", "/dev"],
  ...["--perms", "1777", "--tmpfs", "/dev/shm"],
  ...["--perms", "0555", "--tmpfs", "/sys", "--remount-ro", "/sys"],
  ...["--perms", "0755", "--tmpfs", "/run", "--perms", "0755", "--dir", "/run/lock"],
  ...["--perms", "1777", "--tmpfs", "/tmp"],
];

/**
 * Before bubblewrap, where we are the machine's root: the device nodes that programs get are the machine's own, and programs could change
 * them, so they become read-only (bubblewrap's own way also forbids opening them). What is mounted below /dev stays: a tree may be in
 * /dev/shm. The group counts processes.
 */
const rootsScript = `
[ -z "$1" ] || echo 0 > "$1"
shift
mount -o rbind,ro /dev /dev
exec "$@"`;

/** Runs a program behind the door; what it starts ends with it, however it ends. */
export async function runBehindDoor(
  room: Room,
  argv: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  const { words, pipes } = await doorArgv(room, argv, options.env ?? plainEnv);
  return await run(words, { ...options, env: plainEnv, shown: options.shown ?? argv, pipes });
}

/** The same for a program that turns one stream of bytes into another. */
export async function filterBehindDoor(
  room: Room,
  argv: readonly string[],
  options: FilterOptions,
): Promise<void> {
  const { words, pipes } = await doorArgv(room, argv, options.env ?? plainEnv);
  await filterRun(words, { shown: argv, ...options, env: plainEnv, pipes });
}

/** Every program of a package or a definition is started by this argv and no other. */
async function doorArgv(
  room: Room,
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ words: readonly string[]; pipes: Given[] }> {
  const options = doorOptions(room, env);
  const words = aroundDoor(argv, realUid() === 0, processBound());
  return { words, pipes: [options, doorFilter(process.arch), await doorNamespace()] };
}

/** bubblewrap's options, as it reads them. The program's environment is put together inside; what is outside has ours. */
export function doorOptions(
  { layout, hostname, network = false }: Room,
  env: Readonly<Record<string, string>>,
): Buffer {
  const options = [
    // The last thing that bubblewrap does with the second is to close it, so that no program has it.
    ...["--userns", String(namespaceFd), "--block-fd", String(namespaceFd)],
    ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup", "--as-pid-1"],
    ...(network ? [] : ["--unshare-net"]),
    ...["--die-with-parent", "--hostname", hostname],
    ...["--cap-drop", "ALL", ...capabilities.flatMap((name) => ["--cap-add", `CAP_${name}`])],
    ...layout,
    ...["--chdir", "/", "--clearenv"],
    ...Object.entries(env).flatMap(([name, value]) => ["--setenv", name, value]),
    ...["--seccomp", String(filterFd)],
  ];
  const odd = options.find((word) => word.includes("\0"));
  if (odd !== undefined)
    throw new Fail(`${JSON.stringify(odd)} has a NUL in it, which no program can be given`);
  return Buffer.from(`${options.join("\0")}\0`);
}

/**
 * A process namespace surrounds bubblewrap's own: killing its first process ends everything inside, and no program inside sees a
 * process that is not its own. bubblewrap looks for its child in /proc by the number that it has there, so /proc is that namespace's:
 * in a container, the outer one may know no process of this number.
 */
export function aroundDoor(argv: readonly string[], isRoot: boolean, bound: ProcessBound): readonly string[] {
  const bwrap = ["bwrap", "--args", String(optionsFd), "--", ...argv];
  const alone = [
    "setpriv",
    "--pdeathsig",
    "KILL",
    "--",
    "unshare",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
  ];
  const group = typeof bound === "object" && "procs" in bound ? bound.procs : "";
  return isRoot
    ? [...alone, "--mount", "--", "sh", "-ec", rootsScript, "sh", group, ...bwrap]
    : boundArgv([...alone, "--", ...bwrap], bound);
}

/**
 * The only exception, for the base on the target alone: a program of the new system that works on the disks and the TPM of the machine, which
 * the step has mounted for it.
 */
export function withMachine<Word = string>(root: Word, argv: readonly (string | Word)[]): (string | Word)[] {
  return ["chroot", root, ...argv];
}
