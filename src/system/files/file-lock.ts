import { installHint } from "../../tables/distribution.ts";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, fstatSync, openSync, statSync, utimesSync } from "node:fs";
import { Fail } from "../../util/fail.ts";
import { plainEnv } from "../run/run.ts";

/** Whoever clears the cache holds a lock while it renames, not while it deletes. */
const waitSeconds = 60;

/** Locks by which this process uses something, until it ends: the system gives them back then, whatever ended it. */
const held = new Map<string, number>();

/**
 * Marks a file or directory as used by this process until it ends, and now as the last time. False: it is not there, or was taken away
 * while we asked.
 */
export async function hold(path: string): Promise<boolean> {
  const known = held.get(path);
  if (known !== undefined && isSame(known, path)) return markUsed(path);
  const lock = await lockOf(path, ["--shared", "--timeout", String(waitSeconds)]);
  if (lock === "busy")
    throw new Fail(`${path} has been locked for ${waitSeconds} s`, {
      hint: "is `imgbuild cache gc` at work? try again",
    });
  if (lock === "gone") return false;
  if (known !== undefined) closeSync(known);
  held.set(path, lock);
  return markUsed(path);
}

/** Locks what nobody uses, until `release`. */
export async function claim(path: string): Promise<{ release(): void } | "busy" | "gone"> {
  const lock = await lockOf(path, ["--exclusive", "--nonblock"]);
  return typeof lock === "number" ? { release: () => closeSync(lock) } : lock;
}

/**
 * flock(2) belongs to the open file, which we share with flock(1) for a moment and keep. The lock is on what was opened, so it is
 * looked whether that still has the name.
 */
async function lockOf(path: string, how: readonly string[]): Promise<number | "busy" | "gone"> {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return "gone";
    throw error;
  }
  try {
    const child = spawn("flock", [...how, "3"], { env: plainEnv, stdio: ["ignore", "ignore", "ignore", fd] });
    const [code] = (await once(child, "exit")) as [number | null];
    if (code === 0 && isSame(fd, path)) return fd;
    closeSync(fd);
    if (code !== 0 && code !== 1) throw new Fail(`flock could not lock ${path}: it ended with ${code}`);
    return code === 0 ? "gone" : "busy";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    closeSync(fd);
    throw new Fail("program not found: flock", { hint: installHint("util-linux") });
  }
}

function isSame(fd: number, path: string): boolean {
  const now = statSync(path, { throwIfNoEntry: false });
  const then = fstatSync(fd);
  return now !== undefined && now.ino === then.ino && now.dev === then.dev;
}

/** Now is the last time that it was used. Another's may be used, and not be marked. */
export function markUsed(path: string): true {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch {
    // What it was last used for is its owner's affair.
  }
  return true;
}
