import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { type CpioEntry, cpio } from "../../src/archive/cpio.ts";
import { run } from "../../src/system/run/run.ts";
import { tempDir } from "../helpers/temp-dir.ts";

it("an archive around a loop device is, byte for byte, the one around the file behind it", async () => {
  const file = join(tempDir(), "squashfs");
  const size = 3 * 4096;
  writeFileSync(file, randomBytes(size));
  const { stdout } = await run(["losetup", "--find", "--show", "--read-only", file]);
  const device = stdout.trim();
  onTestFinished(async () => void (await run(["losetup", "--detach", device])));
  const digest = async (path: string, bytes = size) => {
    const hash = createHash("sha256");
    const entry: CpioEntry = { type: "file", name: "base.squashfs", mode: 0o644, path, size: bytes };
    for await (const chunk of cpio([entry])) hash.update(chunk);
    return hash.digest("hex");
  };
  expect(await digest(device)).toBe(await digest(file));
  await expect(digest(device, size - 4096)).rejects.toThrow();
});
