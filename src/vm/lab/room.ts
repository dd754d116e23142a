import { lstat, mkdir, writeFile } from "node:fs/promises";
import { availableParallelism, freemem, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { claim } from "../../system/files/file-lock.ts";
import { readIfThere } from "../../system/files/read-if-there.ts";
import { realUid } from "../../system/user/user-namespace.ts";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import { visibleText } from "../../util/visible.ts";

/** How long other labs may take; a whole deploy under emulation takes half an hour. */
const waitMs = 90 * 60_000;
const lookEveryMs = 1_000;
/** Of the command line of who is waited for. */
const shownCommand = 120;
/** Memory that the rest of the computer needs, beside the machine's own. */
const spareMib = 256;
const memoryWaitMs = 10 * 60_000;

/**
 * Takes one of this computer's places for a lab, of which there are as many as it has cores, since a machine has one
 * processor; waits while all are taken. The place is free again when `leave` is called, or when we die.
 */
export async function takePlace(options: {
  readonly log: Log;
  readonly signal?: AbortSignal;
  readonly places?: number;
  readonly directory?: string;
  readonly waitMs?: number;
}): Promise<{ leave: () => void }> {
  const { log, signal } = options;
  const places = options.places ?? availableParallelism();
  const directory = options.directory ?? join(tmpdir(), `imgbuild-machines-${realUid()}`);
  await ownDirectory(directory);
  const deadline = Date.now() + (options.waitMs ?? waitMs);
  for (let isFirst = true; ; isFirst = false) {
    signal?.throwIfAborted();
    for (let place = 0; place < places; place += 1) {
      await writeFile(placeIn(directory, place), "", { flag: "a" });
      const lock = await claim(placeIn(directory, place));
      if (typeof lock === "string") continue;
      await writeFile(placeIn(directory, place), `${process.pid} ${new Date().toISOString()}\n`);
      return { leave: lock.release };
    }
    if (isFirst)
      log.info(
        `waiting, for at most ${Math.ceil((deadline - Date.now()) / 60_000)} min: ${places === 1 ? "a lab is" : `${places} labs are`} running on this computer: ${holders(directory, places)}`,
      );
    if (Date.now() > deadline)
      throw new Fail(
        `other labs held all ${places} places of this computer for too long: ${holders(directory, places)}`,
        {
          hint: "`pgrep --full qemu-system` shows the machines that run",
        },
      );
    await sleep(lookEveryMs, undefined, { signal });
  }
}

function placeIn(directory: string, place: number): string {
  return join(directory, `place${place}`);
}

/** Who has the places: process, since when, and what it was called with. */
function holders(directory: string, places: number): string {
  const shown = Array.from({ length: places }, (_, place) => {
    const noted = readIfThere(placeIn(directory, place)) ?? "";
    const [, pid, since] = /^(\d+) (\S+)\n$/.exec(noted) ?? [];
    if (pid === undefined || since === undefined) return "of an unknown process";
    const words = (readIfThere(`/proc/${pid}/cmdline`) ?? "").split("\0").filter((word) => word !== "");
    const called = words
      .slice(words[0]?.endsWith("node") ? 1 : 0)
      .join(" ")
      .slice(0, shownCommand);
    return `process ${pid} since ${since.slice(11, 16)} UTC${called === "" ? "" : ` (${visibleText(called)})`}`;
  });
  return shown.join(", ");
}

/** Others' files in a shared directory are not to be trusted with our locks. */
async function ownDirectory(directory: string): Promise<void> {
  await mkdir(directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  const found = await lstat(directory);
  if (!found.isDirectory() || found.uid !== process.getuid?.())
    throw new Fail(`${directory} is not a directory of ours`, { hint: "remove it, or set TMPDIR" });
}

/** Waits until the computer has this much memory to give. */
export async function waitForMemory(
  mib: number,
  options: {
    readonly log: Log;
    readonly signal?: AbortSignal;
    readonly waitMs?: number;
    /** MiB that could be had now. */
    readonly available?: () => number;
  },
): Promise<void> {
  const available = options.available ?? availableMib;
  const deadline = Date.now() + (options.waitMs ?? memoryWaitMs);
  for (let isFirst = true; ; isFirst = false) {
    const have = available();
    if (have >= mib + spareMib) return;
    if (isFirst)
      options.log.info(`waiting for memory: ${mib + spareMib} MiB are needed, ${have} are available`);
    if (Date.now() > deadline)
      throw new Fail(`a machine of ${mib} MiB needs ${mib + spareMib} MiB; ${have} MiB are available`, {
        hint: "end other programs, or give the machine less memory",
      });
    await sleep(lookEveryMs, undefined, { signal: options.signal });
  }
}

function availableMib(): number {
  const text = readIfThere("/proc/meminfo") ?? "";
  const kib = text.match(/^MemAvailable:\s+(\d+) kB$/m)?.[1];
  return kib === undefined ? Math.floor(freemem() / 2 ** 20) : Math.floor(Number(kib) / 1024);
}
