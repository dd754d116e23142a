import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readIfThere } from "../files/read-if-there.ts";
import { realUid } from "../user/user-namespace.ts";

/** Processes and threads of one build at a time. The largest packages need some dozens. */
const mostProcesses = 4096;
/** Where every system mounts its control groups. */
const groups = "/sys/fs/cgroup";
const prefix = "imgbuild-";

/** By a limit, or by a control group that processes enter through a file; "none" where nothing counts them. */
export type ProcessBound = { readonly limit: number } | { readonly procs: string } | "none";

let own: ProcessBound | undefined;

/**
 * Bounds the number of processes. A user's are bound by RLIMIT_NPROC, which a user namespace made under it keeps for all its ids together
 * (since Linux 5.14). Root's are exempt from that: the pids controller bounds them, in a group that ends with this process.
 */
export function processBound(): ProcessBound {
  own ??=
    realUid() === 0
      ? rootsBound(readFileSync("/proc/self/cgroup", "utf8"), groups, ownNumber(), (drop) => {
          process.once("exit", drop);
        })
      : usersBound(readFileSync("/proc/self/limits", "utf8"));
  return own;
}

/** The argv of a program under a user's bound; root's programs enter their group by themselves. */
export function boundArgv(argv: readonly string[], bound = processBound()): readonly string[] {
  return typeof bound === "object" && "limit" in bound
    ? ["prlimit", `--nproc=${bound.limit}:${bound.limit}`, "--", ...argv]
    : argv;
}

/** By /proc/self/limits: no more than the user may have already. */
export function usersBound(limits: string): ProcessBound {
  const hard = /^Max processes\s+\S+\s+(\d+)/m.exec(limits)?.[1];
  return { limit: Math.min(mostProcesses, Number(hard ?? mostProcesses)) };
}

/** A process by the inode of its process namespace and its number there: control groups may be shared with other namespaces. */
interface ProcessNumber {
  readonly namespace: string;
  readonly pid: number;
}

function ownNumber(): ProcessNumber {
  const [inode = ""] = /\d+/.exec(readlinkSync("/proc/self/ns/pid")) ?? [];
  return { namespace: inode, pid: process.pid };
}

/** By /proc/self/cgroup: a group for `own` below the control groups at `top`, which `atExit` is given the end of. */
export function rootsBound(
  text: string,
  top: string,
  own: ProcessNumber,
  atExit: (drop: () => void) => void,
): ProcessBound {
  const parent = parentGroup(text, top, readIfThere);
  if (parent === undefined) return "none";
  const group = join(parent, `${prefix}${own.namespace}-${own.pid}`);
  try {
    dropDead(parent, own.namespace);
    mkdirSync(group, { recursive: true });
    writeFileSync(join(group, "pids.max"), String(mostProcesses));
  } catch {
    return "none";
  }
  atExit(() => drop(group));
  return { procs: join(group, "cgroup.procs") };
}

/**
 * The group under which one of ours has a pids controller, by /proc/self/cgroup: our own in cgroup v1, in v2 the nearest above us that gives the
 * controller to its children, as every slice of systemd does.
 */
export function parentGroup(
  text: string,
  top: string,
  read: (file: string) => string | undefined,
): string | undefined {
  const first = /^\d+:(?:[^:\n]*,)?pids(?:,[^:\n]*)?:(\/.*)$/m.exec(text)?.[1];
  if (first !== undefined) {
    const group = join(top, "pids", first);
    return read(join(group, "cgroup.procs")) === undefined ? undefined : group;
  }
  const second = /^0::(\/.*)$/m.exec(text)?.[1];
  if (second === undefined) return undefined;
  for (let path = second; ; path = dirname(path)) {
    const given = read(join(top, path, "cgroup.subtree_control")) ?? "";
    const isTop = path === "/";
    if (given.trim().split(/\s+/).includes("pids")) return isTop ? top : join(top, path);
    if (isTop) return undefined;
  }
}

/** Groups of processes that were killed; of those in another namespace we do not see which ones live. */
function dropDead(parent: string, namespace: string): void {
  const ours = `${prefix}${namespace}-`;
  for (const name of readdirSync(parent)) {
    const pid = name.startsWith(ours) ? Number(name.slice(ours.length)) : Number.NaN;
    if (Number.isInteger(pid) && readIfThere(`/proc/${pid}/stat`) === undefined) drop(join(parent, name));
  }
}

/** Only an empty group can be removed, which is right. */
function drop(group: string): void {
  try {
    rmdirSync(group);
  } catch {
    // The next run removes it.
  }
}
