import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, lstat, mkdtemp, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Fail } from "../../util/fail.ts";
import { settlesWithin } from "../../util/promises.ts";
import { claim, hold } from "./file-lock.ts";
import { plainEnv } from "../run/run.ts";

/** How often the directory may be removed before we hold it. */
const attempts = 5;
/** How long the process that clears up may take to see that nothing is left. */
const endMs = 5_000;
/** A killed build's tree may still be mounted, and its programs may still write. */
const clear = `tries=240
while [ -e "$1" ] && [ "$tries" -gt 0 ]; do
  umount --lazy "$1/tree" 2>/dev/null
  rm -rf --one-file-system -- "$1" && exit
  sleep 0.5
  tries=$((tries - 1))
done`;
/** Its stdin ends when we do, however we end. */
const whenWeEnd = `cat > /dev/null\n${clear}`;

/**
 * Works in a directory beside an output, for this user alone, which is removed afterwards: there may be secrets in it. If this
 * process is killed, another removes it; if both are, or the power fails, the next build of an output there does.
 */
export async function inWorkDirectory<T>(to: string, work: (directory: string) => Promise<T>): Promise<T> {
  await clearStale(dirname(to));
  const directory = await held(`${join(dirname(to), `.${basename(to)}`)}.imgbuild-`);
  const guard = guardDirectory(directory);
  try {
    return await work(directory);
  } finally {
    await guard.clear();
  }
}

/** Has a process of its own remove a directory when this process has ended, however it ends. */
export function guardDirectory(directory: string): { clear(): Promise<void> } {
  const guarding = spawn("sh", ["-c", whenWeEnd, "imgbuild", directory], {
    ...{ env: plainEnv, stdio: ["pipe", "ignore", "ignore"], cwd: "/" },
    // A key at the terminal, or a signal to our group, must not reach it.
    detached: true,
  });
  const ended = once(guarding, "exit").catch(() => {});
  guarding.stdin?.on("error", () => {});
  guarding.unref();
  return {
    async clear() {
      // A killed program's last write may still land while we clear up.
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
      guarding.ref();
      guarding.stdin?.end();
      await settlesWithin(ended, endMs);
      guarding.unref();
    },
  };
}

/** A new directory, locked so that others see it in use. Before that, a process that clears up may remove it. */
async function held(prefix: string): Promise<string> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const directory = await mkdtemp(prefix);
    // Nothing of a parent directory's group (mode g+s) may be handed down to the tree.
    await chmod(directory, 0o700);
    if (await hold(directory)) return directory;
  }
  throw new Fail(`the directories ${prefix}… are removed as soon as they are made`, {
    hint: "name an output elsewhere",
  });
}

/** Removes what builds left beside it that were killed together with their guards. */
async function clearStale(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => [] as string[]);
  for (const name of names.filter((one) => /^\..+\.imgbuild-[A-Za-z0-9]{6}$/.test(one))) {
    const path = join(parent, name);
    const found = await lstat(path).catch(() => undefined);
    const isOurs =
      found?.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o7777) === 0o700;
    if (!isOurs) continue;
    const claimed = await claim(path);
    if (typeof claimed === "string") continue;
    const clearing = spawn("sh", ["-c", clear, "imgbuild", path], {
      ...{ env: plainEnv, stdio: "ignore", cwd: "/" },
    });
    await settlesWithin(once(clearing, "exit"), endMs * 12);
    claimed.release();
  }
}
