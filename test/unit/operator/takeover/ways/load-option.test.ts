import { describe, expect, it } from "vitest";
import { loadOption } from "../../../../../src/operator/takeover/ways/load-option.ts";

describe("a firmware's load option", () => {
  it("has the bytes of UEFI's EFI_LOAD_OPTION", () => {
    const option = loadOption({
      title: "T",
      partition: {
        number: 15,
        uuid: "a1b2c3d4-e5f6-4789-abcd-0123456789ab",
        startSector: 8192,
        sectors: 253_952,
      },
      path: "\\a",
      words: "x y",
    });
    expect(option.toString("hex")).toBe(
      [
        "01000000", // LOAD_OPTION_ACTIVE
        "3800", // 42 + 10 + 4 bytes of path
        "54000000", // "T"
        "04012a00", // Media, Hard Drive
        "0f000000",
        "0020000000000000",
        "00e0030000000000",
        "d4c3b2a1f6e58947abcd0123456789ab",
        "0202", // a GPT, known by its GUID
        "04040a00", // Media, File Path
        "5c0061000000",
        "7fff0400", // the end
        "7800200079000000", // "x y"
      ].join(""),
    );
  });
});
