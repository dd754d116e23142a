import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { TestLab } from "../../../src/testing/index.ts";
import { messageOf } from "../../../src/util/fail.ts";
import type { Class } from "./cuts.ts";
import { DiskView, sectorBytes } from "./disk-view.ts";
import type { Firmware } from "./probe.ts";
import { copySparse, type Recording } from "./record.ts";
import type { Host } from "./recorded.ts";
import { openForReading } from "./write-log.ts";

/** On ordinary hardware, which the lab multiplies. A machine that starts has come to its login in half of the first. */
const deadSeconds = 15;
const bootSeconds = 90;
/** What the console of a machine shows that has started. */
const up = { old: /stock login:/, new: /cut login:/, base: /imgbuild: the base is up/ } as const;
const anySystem = /login:|Welcome to|the base is up/;

/** How a machine that was left in the state starts: undefined if it is as it was judged, else what it did. */
export async function bootState(
  lab: Pick<TestLab, "machine" | "directory">,
  { verdict, example }: Pick<Class, "verdict" | "example">,
  recording: Pick<Recording, "before" | "log">,
  how: { readonly firmware: Firmware; readonly host: Host; readonly name: string },
): Promise<string | undefined> {
  const file = join(lab.directory, `${how.name}.raw`);
  await writeState(example.sectors, recording, file);
  // A system of an image says nothing on its serial port; its shell is asked.
  const shell = verdict === "old" && how.host === "own";
  const machine = await lab.machine({
    ...{ name: how.name, firmware: how.firmware, shell, memoryMib: 1536 },
    disks: [{ file: { file, format: "raw" }, serial: "IMGBUILD-SYSTEM" }],
  });
  try {
    if (shell) {
      await machine.boot({ withinSeconds: bootSeconds });
      const name = (await machine.succeed("hostname")).trim();
      return name === "both-firmwares" ? undefined : `the system ${name} started`;
    }
    await machine.start();
    if (verdict !== "dead") {
      await machine.waitForConsole(up[verdict], { withinSeconds: bootSeconds });
      return undefined;
    }
    const came = await machine
      .waitForConsole(anySystem, { withinSeconds: deadSeconds })
      .catch(() => undefined);
    return came === undefined ? undefined : "a system started, and it was judged to be dead";
  } catch (error) {
    return messageOf(error);
  } finally {
    await machine.stop();
    await rm(file, { force: true });
  }
}

/** A file with the disk as it is in that state. */
async function writeState(
  sectors: Int32Array,
  recording: Pick<Recording, "before" | "log">,
  to: string,
): Promise<void> {
  await copySparse(recording.before, to);
  const [disk, log] = [openForReading(recording.before), openForReading(recording.log)];
  const file = await open(to, "r+");
  try {
    const view = new DiskView({ size: disk.size, disk: disk.read, log: log.read }, sectors);
    for (const [from, until] of view.changed()) {
      const bytes = view.read(from * sectorBytes, (until - from) * sectorBytes);
      await file.write(bytes, 0, bytes.length, from * sectorBytes);
    }
  } finally {
    await file.close();
    disk.close();
    log.close();
  }
}
