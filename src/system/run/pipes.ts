import type { ChildProcess, StdioOptions } from "node:child_process";
import { openSync, readdirSync, readFileSync } from "node:fs";
import type { Writable } from "node:stream";

/** Bytes to read, or a descriptor of ours. */
export type Given = Uint8Array | number;

const firstPipe = 3;
/** O_CLOEXEC of open(2), as /proc/<pid>/fdinfo shows it. */
const closeOnExec = 0o2000000;

/**
 * The descriptors of a program that is not ours: input, output, errors, and from 3 on `descriptors`. What this process has
 * inherited, and would pass on, leads nowhere.
 */
export function confinedStdio(descriptors: readonly Given[]): StdioOptions {
  const stdio: (number | "pipe" | "ignore")[] = [
    "pipe",
    "pipe",
    "pipe",
    ...descriptors.map((given) => (typeof given === "number" ? given : "pipe")),
  ];
  for (const fd of inherited()) {
    if (fd < stdio.length) continue;
    while (stdio.length < fd) stdio.push("ignore");
    stdio.push(nowhere());
  }
  return stdio;
}

/** Writes what the program reads from its pipes. */
export function fillPipes(child: ChildProcess, descriptors: readonly Given[]): void {
  descriptors.forEach((bytes, index) => {
    if (typeof bytes === "number") return;
    const pipe = child.stdio[firstPipe + index] as Writable | null;
    // It may end before it has read them; its exit code shows that.
    pipe?.on("error", () => {});
    pipe?.end(bytes);
  });
}

let inheritedFds: readonly number[] | undefined;
let nullDevice: number | undefined;

/** Those that were open when we started: what Node opens itself is closed on exec. In rising order. */
function inherited(): readonly number[] {
  inheritedFds ??= readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => fd >= firstPipe && handedOn(fd))
    .sort((a, b) => a - b);
  return inheritedFds;
}

function handedOn(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
    return (Number.parseInt(flags ?? "0", 8) & closeOnExec) === 0;
  } catch {
    // That of the directory just read.
    return false;
  }
}

function nowhere(): number {
  nullDevice ??= openSync("/dev/null", "r");
  return nullDevice;
}
