import { describe, expect, it } from "vitest";
import { swapHeader } from "../../../../src/disks/filesystem/swap-file.ts";
import { mib } from "../../../helpers/builders/storage.ts";

describe("swapHeader", () => {
  it("is the first page of a swap area, as the kernel's union swap_header has it", () => {
    const header = swapHeader(64 * mib, "00112233-4455-6677-8899-aabbccddeeff");
    expect(header.length).toBe(4096);
    expect(header.readUInt32LE(1024), "version").toBe(1);
    expect(header.readUInt32LE(1028), "last page").toBe(16383);
    expect(header.readUInt32LE(1032), "bad pages").toBe(0);
    expect(header.subarray(1036, 1052).toString("hex")).toBe("00112233445566778899aabbccddeeff");
    expect(
      header.subarray(1052, 1068).every((byte) => byte === 0),
      "label",
    ).toBe(true);
    expect(header.subarray(4086).toString("latin1")).toBe("SWAPSPACE2");
    expect(
      header.subarray(0, 1024).every((byte) => byte === 0),
      "boot bits",
    ).toBe(true);
  });
});
