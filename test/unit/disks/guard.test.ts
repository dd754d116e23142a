import { execFileSync } from "node:child_process";
import { readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inBase, refuseHostDisks } from "../../../src/disks/guard.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

/** Block devices of this machine; looked at, never opened. */
const blockDevices = readdirSync("/dev")
  .map((name) => join("/dev", name))
  .filter((path) => statSync(path, { throwIfNoEntry: false })?.isBlockDevice() === true);

describe("refuseHostDisks", () => {
  it("passes a regular file", async () => {
    const file = join(tempDir(), "disk.raw");
    writeFileSync(file, "");
    await expect(refuseHostDisks(file)).resolves.toBeUndefined();
  });

  it.skipIf(blockDevices.length === 0)(
    "refuses every block device of this machine, loop devices too",
    async () => {
      for (const path of blockDevices)
        await expect(refuseHostDisks(path), path).rejects.toThrow(
          `${path} is a block device of this machine`,
        );
    },
  );

  it.skipIf(blockDevices.length === 0)("refuses a block device behind a symlink", async () => {
    const link = join(tempDir(), "disk.raw");
    symlinkSync(blockDevices[0]!, link);
    await expect(refuseHostDisks(link)).rejects.toThrow(/block device of this machine/);
  });

  it.skipIf(blockDevices.length === 0)("passes a block device where the base's marker is", async () => {
    const marker = join(tempDir(), "base");
    writeFileSync(marker, "");
    await expect(refuseHostDisks(blockDevices[0]!, marker)).resolves.toBeUndefined();
  });

  it("looks at a path without opening it: a FIFO nobody writes to is refused at once", async () => {
    const fifo = join(tempDir(), "fifo");
    execFileSync("mkfifo", [fifo]);
    await expect(refuseHostDisks(fifo)).rejects.toThrow(/neither a regular file nor a block device/);
  });

  it("refuses a character device, a directory and what is not there", async () => {
    await expect(refuseHostDisks("/dev/null")).rejects.toThrow(/neither a regular file nor a block device/);
    await expect(refuseHostDisks(tempDir())).rejects.toThrow(/neither a regular file nor a block device/);
    await expect(refuseHostDisks(join(tempDir(), "none"))).rejects.toThrow(/cannot look at .*: ENOENT/);
  });
});

describe("inBase", () => {
  it("says no without the marker, and when it is a directory", async () => {
    expect(await inBase()).toBe(false);
    expect(await inBase(tempDir())).toBe(false);
  });
});
