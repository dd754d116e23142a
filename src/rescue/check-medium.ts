import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { type MachinePaths, thisMachine } from "../disks/find-disk.ts";
import type { Medium } from "../schema/base/medium.ts";
import { runningBase } from "../steps/boot/keep-base.ts";
import { run } from "../system/run/run.ts";
import { Fail, messageOf } from "../util/fail.ts";
import type { Log } from "../util/log.ts";

/** A disc may still spin up, and a stick be found. */
const appearsMs = 60_000;
const lookMs = 30_000;
const mib = 2 ** 20;
const damaged = "write the medium anew, or take another; no disk was written";

/** The medium's filesystem, mounted read-only; its directory. */
export async function mountMedium(volume: string, log: Log): Promise<string> {
  const directory = "/run/imgbuild-medium";
  await mkdir(directory, { recursive: true });
  const device = await log.task(`looking for the medium ${volume}`, () => findVolume(volume));
  await run(["mount", "-t", "iso9660", "-o", "ro,nosuid,nodev,noexec", device, directory], {
    timeoutMs: lookMs,
  });
  return directory;
}

async function findVolume(volume: string): Promise<string> {
  const until = Date.now() + appearsMs;
  for (;;) {
    // A stick with the image has the label twice, for itself and for its first partition: the same bytes.
    const { stdout } = await run(["blkid", "-c", "/dev/null", "-t", `LABEL=${volume}`, "-o", "device"], {
      ...{ timeoutMs: lookMs, accept: [0, 2] },
    });
    const [device] = stdout
      .split("\n")
      .filter((line) => line !== "")
      .sort();
    if (device !== undefined) return device;
    if (Date.now() > until)
      throw new Fail(`the medium with the label ${volume} is not there any more`, {
        hint: "leave it in until the machine restarts",
      });
    await sleep(1_000);
  }
}

/** Compares all that will be read with what it has to be, before anything is written: the base that runs, and the medium's files. */
export async function checkMedium(
  medium: Medium,
  directory: string | undefined,
  log: Log,
  machine: MachinePaths = thisMachine,
): Promise<void> {
  const { size, sha256 } = medium.squashfs;
  const base = await runningBase(machine, "squashfs", size).catch((error: unknown) => {
    throw new Fail(`the base cannot be read: ${messageOf(error)}`, { cause: error, hint: damaged });
  });
  await compare("the base", base, { size, sha256 }, log);
  if (directory === undefined) return;
  for (const [path, file] of Object.entries(medium.files))
    await compare(path, createReadStream(join(directory, path)), file, log);
}

async function compare(
  name: string,
  from: Readable,
  wanted: { readonly size: number; readonly sha256: string },
  log: Log,
): Promise<void> {
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
      log.progress(Math.round(bytes / mib), Math.round(wanted.size / mib), "MiB");
    }
  } catch (error) {
    throw new Fail(`${name} on the medium cannot be read: ${messageOf(error)}`, {
      cause: error,
      hint: damaged,
    });
  }
  if (bytes !== wanted.size || hash.digest("hex") !== wanted.sha256)
    throw new Fail(`${name} on the medium is damaged: its bytes are not those that were written`, {
      hint: damaged,
    });
}
