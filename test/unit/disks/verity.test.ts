import { describe, expect, it } from "vitest";
import { verityBytes, verityFormat } from "../../../src/disks/verity.ts";

describe("verityBytes", () => {
  it.each([
    [0, 4096],
    [1, 8192],
    [128, 8192],
    [129, 16_384],
    [16_384, 532_480],
    [16_500, 544_768],
  ])("of %i blocks is %i bytes, as veritysetup takes", (blocks, bytes) => {
    expect(verityBytes(blocks * 4096)).toBe(bytes);
    expect(verityBytes(blocks * 4096 + 4095)).toBe(bytes);
  });
});

describe("verityFormat", () => {
  it("leaves nothing to defaults, and hashes whole blocks", () => {
    const verity = { dataBytes: 3 * 4096 + 100, uuid: "u", salt: "ab" };
    expect(verityFormat(verity, "/dev/a1", "/dev/a2").join(" ")).toBe(
      "veritysetup format --format=1 --hash=sha256 --salt=ab --uuid=u --data-block-size=4096 --hash-block-size=4096 --data-blocks=3 /dev/a1 /dev/a2",
    );
  });
});
