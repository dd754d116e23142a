import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { filesystemAt } from "../../../../src/boot/check/superblock.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const uuid = "7f1d9a54-3c0e-4b6a-9d58-2f6b1c8e4a90";

function filesystem(markAt: number, mark: Uint8Array, uuidAt: number, offset = 0): string {
  const bytes = Buffer.alloc(offset + 0x11000);
  Buffer.from(mark).copy(bytes, offset + markAt);
  Buffer.from(uuid.replaceAll("-", ""), "hex").copy(bytes, offset + uuidAt);
  const file = join(tempDir(), "disk");
  writeFileSync(file, bytes);
  return file;
}

describe("filesystemAt", () => {
  it.each([
    ["ext4", 0x438, Buffer.from([0x53, 0xef]), 0x468],
    ["xfs", 0, Buffer.from("XFSB"), 32],
    ["btrfs", 0x10040, Buffer.from("_BHRfS_M"), 0x10020],
    ["f2fs", 1024, Buffer.from([0x10, 0x20, 0xf5, 0xf2]), 1132],
  ])("knows %s and its UUID, wherever it begins", async (type, markAt, mark, uuidAt) => {
    expect(await filesystemAt(filesystem(markAt, mark, uuidAt), 0)).toEqual({ type, uuid });
    const file = filesystem(markAt, mark, uuidAt, 2 ** 20);
    expect(await filesystemAt(file, 2 ** 20)).toEqual({ type, uuid });
    expect(await filesystemAt(file, 0)).toBeUndefined();
  });

  it("knows none in an empty or a short file", async () => {
    const file = join(tempDir(), "short");
    writeFileSync(file, "XFS");
    expect(await filesystemAt(file, 0)).toBeUndefined();
  });
});
