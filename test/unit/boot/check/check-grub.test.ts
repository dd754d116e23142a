import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkEmbeddedGrub } from "../../../../src/boot/check/check-grub.ts";
import { bootCode, placedCore } from "../../../../src/boot/grub.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const sector = 512;

/** A disk on which GRUB was embedded, in the gap or in a partition. */
function disk(startBytes: number): { file: string; room: { startBytes: number; sizeBytes: number } } {
  const core = Buffer.alloc(20 * sector, 0x5a);
  core.writeUInt16LE(19, sector - 4);
  const room = { startBytes, sizeBytes: 64 * sector };
  const bytes = Buffer.alloc(startBytes + room.sizeBytes);
  bootCode(Buffer.alloc(sector, 0xaa), startBytes).copy(bytes);
  bytes.writeUInt16LE(0xaa55, 510);
  placedCore(core, startBytes, room.sizeBytes).copy(bytes, startBytes);
  const file = join(tempDir(), "disk");
  writeFileSync(file, bytes);
  return { file, room };
}

function change(file: string, at: number, bytes: Uint8Array): void {
  const content = readFileSync(file);
  Buffer.from(bytes).copy(content, at);
  writeFileSync(file, content);
}

describe("checkEmbeddedGrub", () => {
  it.each([sector, 2 ** 20])("finds GRUB at byte %i", async (start) => {
    const { file, room } = disk(start);
    await checkEmbeddedGrub(file, room);
  });

  it.each([
    ["a first sector that is empty", 0, Buffer.alloc(440), "first sector holds no boot code"],
    ["a first sector that is not bootable", 510, Buffer.alloc(2), "first sector holds no boot code"],
    ["boot code that looks elsewhere", 0x5c, Buffer.alloc(8, 1), "looks for GRUB's core image at byte"],
    [
      "a core image that does not know its rest",
      2 ** 20 + 500,
      Buffer.alloc(12),
      "does not say where the rest of it is",
    ],
    [
      "a core image that was cut off",
      2 ** 20 + 10 * sector,
      Buffer.alloc(54 * sector),
      "core image is missing from byte 1053696 on",
    ],
  ])("refuses %s", async (_what, at, bytes, message) => {
    const { file, room } = disk(2 ** 20);
    change(file, at, bytes);
    await expect(checkEmbeddedGrub(file, room)).rejects.toThrow(message);
  });

  it("refuses a core image that runs into what lies behind its room", async () => {
    const { file, room } = disk(2 ** 20);
    await expect(checkEmbeddedGrub(file, { ...room, sizeBytes: 19 * sector })).rejects.toThrow(
      "within its room",
    );
  });

  it("takes a core image that ends with its room, or with an empty sector, and none with a hole", async () => {
    const { file, room } = disk(2 ** 20);
    await checkEmbeddedGrub(file, { ...room, sizeBytes: 20 * sector });
    change(file, 2 ** 20 + 19 * sector, Buffer.alloc(sector));
    await checkEmbeddedGrub(file, room);
    change(file, 2 ** 20 + 5 * sector, Buffer.alloc(sector - 1));
    await checkEmbeddedGrub(file, room);
    change(file, 2 ** 20 + 18 * sector, Buffer.alloc(sector));
    await expect(checkEmbeddedGrub(file, room)).rejects.toThrow(
      `missing from byte ${2 ** 20 + 18 * sector} on`,
    );
  });

  it.each([
    ["where its second sector is not", 2 ** 20 + 500, Buffer.from([3, 8])],
    ["of no sector", 2 ** 20 + 508, Buffer.alloc(2)],
  ])("refuses a core image whose rest is told to be one %s", async (_what, at, bytes) => {
    const { file, room } = disk(2 ** 20);
    change(file, at, bytes);
    await expect(checkEmbeddedGrub(file, room)).rejects.toThrow("does not say where the rest of it is");
  });

  it("leaves no file open, whatever it finds", async () => {
    const { file, room } = disk(2 ** 20);
    const open = () => readdirSync("/proc/self/fd").filter((fd) => linkOf(fd) === file).length;
    await checkEmbeddedGrub(file, room);
    change(file, 510, Buffer.alloc(2));
    await expect(checkEmbeddedGrub(file, room)).rejects.toThrow();
    expect(open()).toBe(0);
  });
});

function linkOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
