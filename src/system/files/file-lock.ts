import { installHint } from "../../tables/distribution.ts";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, fstatSync, openSync, statSync, utimesSync } from "node:fs";
import { Fail } from "../../util/fail.ts";
import { plainEnv } from "../run/run.ts";

/** A clearing of the cache holds a lock while it renames, not while it deletes. */
const waitSeconds = 60;

/** Locks by which this process uses something, until it ends: the system releases them then, however it ended. */
const locks = new Map<string, number>();

/**
 * Marks a file or directory as used by this process until it ends, and now as its last use. False: it is not there, or was removed
 * meanwhile.
 */
export async function hold(path: string): Promise<boolean> {
  const earlier = locks.get(path);
  if (earlier !== undefined && isSame(earlier, path)) return markUsed(path);
  const lock = await lockOf(path, ["--shared", "--timeout", String(waitSeconds)]);
  if (lock === "busy")
    throw new Fail(`${path} has been locked for ${waitSeconds} s`, {
      hint: "is `imgbuild cache gc` at work? try again",
    });
  if (lock === "gone") return false;
  if (earlier !== undefined) closeSync(earlier);
  locks.set(path, lock);
  return markUsed(path);
}

/** Locks what no process uses, until `release`, which may be called again: by then the number may be another file's. */
export async function claim(path: string): Promise<{ release(): void } | "busy" | "gone"> {
  const lock = await lockOf(path, ["--exclusive", "--nonblock"]);
  if (typeof lock !== "number") return lock;
  let held = true;
  return {
    release: () => {
      if (held) closeSync(lock);
      held = false;
    },
  };
}

/**
 * flock(2) belongs to the open file, which we share with flock(1) for a moment and keep. The lock is on what was opened, so check
 * that it still has the name.
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

/** Marks now as its last use. What belongs to another user may be used, but not marked. */
export function markUsed(path: string): true {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch {
    // Marking its last use is up to its owner.
  }
  return true;
}
