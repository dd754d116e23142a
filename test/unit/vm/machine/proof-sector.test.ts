import { expect, it } from "vitest";
import { proofDisk, proofExitCode } from "../../../../src/vm/machine/proof-sector.ts";

/** Where the firmware puts a boot sector. */
const origin = 0x7c00;

it("is one sector that the firmware takes for bootable, on a disk the size of one", () => {
  const disk = proofDisk();
  expect(disk.length).toBe(1024 * 1024);
  expect(disk.readUInt16LE(510)).toBe(0xaa55);
  // A disk read of the proof itself reaches only the first sector.
  expect(disk.subarray(512).every((byte) => byte === 0)).toBe(true);
});

it("jumps to where its code for the next mode is", () => {
  const disk = proofDisk();
  // Far jumps: 66 ea offset32 selector16 from real mode, ea offset32 selector16 from protected mode.
  const toProtected = disk.indexOf(Buffer.from("66ea", "hex"));
  expect(disk.readUInt16LE(toProtected + 6)).toBe(0x08);
  const protectedAt = disk.readUInt32LE(toProtected + 2) - origin;
  expect(protectedAt).toBe(toProtected + 8);
  const toLong = disk.indexOf(0xea, protectedAt);
  expect(disk.readUInt16LE(toLong + 5)).toBe(0x18);
  expect(disk.readUInt32LE(toLong + 1) - origin).toBe(toLong + 7);
});

it("loads a descriptor table that is where its pointer says", () => {
  const disk = proofDisk();
  const lgdt = disk.indexOf(Buffer.from("660f0116", "hex"));
  const pointer = disk.readUInt16LE(lgdt + 4) - origin;
  expect(disk.readUInt16LE(pointer)).toBe(4 * 8 - 1);
  const table = disk.readUInt32LE(pointer + 2) - origin;
  expect(disk.readBigUInt64LE(table)).toBe(0n);
  // Code 32 bit, data, code 64 bit: present, and the long-mode bit only in the last.
  expect([8, 16, 24].map((at) => disk[table + at + 5])).toEqual([0x9b, 0x93, 0x9b]);
  expect([8, 16, 24].map((at) => (disk[table + at + 6]! >> 5) & 1)).toEqual([0, 0, 1]);
});

it("ends QEMU with a code that QEMU's own failures do not have", () => {
  const disk = proofDisk();
  const out = disk.indexOf(Buffer.from("e6f4", "hex"));
  expect(disk[out - 2]).toBe(0xb0);
  expect((disk[out - 1]! << 1) | 1).toBe(proofExitCode);
});
