import { describe, expect, it } from "vitest";
import { WrittenDisk } from "../../../../src/schema/storage.ts";
import { tableProblems } from "../../../../src/storage/check/check-table.ts";
import { bios, esp, keptUuid, root } from "../../../helpers/builders/storage.ts";

const problemsOf = (partitions: readonly object[], more: object = {}, type = "gpt") => {
  const disk = WrittenDisk.parse({ match: { serial: "A" }, table: { type, partitions }, ...more });
  return [...tableProblems(disk, ["disks", "a"])].map(({ path, message }) => `${path.join(".")}: ${message}`);
};
const linux = (name: string, more: object = {}) => ({ name, type: "linux", size: "1GiB", ...more });
const kept = { type: "ext4", mount: "/k", keep: { uuid: keptUuid } };
const vfat = { type: "vfat", mount: "/efi" };
const xfs = { type: "xfs", mount: "/x" };
const member = { type: "md-member", array: "md" };
const swap = { type: "swap" };
const { size: _size, ...unsized } = linux("k", { content: kept });

describe("a table of partitions", () => {
  it.each<[string, readonly object[], string?]>([
    ["a loader's partition, an ESP, a root and swap", [bios, esp, linux("s", { content: swap }), root]],
    ["swap in a partition for it", [linux("s", { type: "linux-swap", content: swap })]],
    [
      "an ESP and an extended loader's partition in arrays",
      [
        { ...esp, content: member },
        { ...esp, name: "x", type: "xbootldr", content: member },
      ],
    ],
    [
      "an extended loader's partition",
      [{ ...esp, type: "xbootldr", content: { ...vfat, mount: "/xbootldr" } }],
    ],
    ["the rest before what is kept", [linux("a", { size: "rest" }), unsized]],
    ["an active partition in an MBR", [linux("a", { active: true })], "mbr"],
    ["an ESP in an MBR", [esp], "mbr"],
    [
      "attributes and a type of its own in a GPT",
      [linux("a", { attributes: ["required"], typeGuid: keptUuid })],
    ],
  ])("is right with %s", (_what, partitions, type) => {
    expect(problemsOf(partitions, {}, type)).toEqual([]);
  });

  it.each<[string, readonly object[], string, string?]>([
    [
      "two partitions of a name",
      [linux("a"), linux("b"), linux("a")],
      "2.name: a names another partition of this",
    ],
    [
      "the rest before another",
      [linux("a", { size: "rest" }), linux("b")],
      '0.size: "rest" is only for the last',
    ],
    [
      "the rest before what is made",
      [unsized, linux("a", { size: "rest" }), linux("b", { content: { type: "ext4", mount: "/b" } })],
      '1.size: "rest" is only for the last',
    ],
    ["no size", [{ name: "a", type: "linux", content: { type: "ext4", mount: "/a" } }], "0.size: is missing"],
    [
      "a loader's partition with a filesystem",
      [{ ...bios, content: { type: "ext4", mount: "/x" } }],
      "0.content: a bios-boot partition holds no",
    ],
    [
      "an ESP too small",
      [{ ...esp, size: "33MiB" }],
      "0.size: 33 MiB is too small for vfat; needs 34MiB at least",
    ],
    [
      "an xfs too small",
      [linux("x", { size: "299MiB", content: xfs })],
      "0.size: 299 MiB is too small for xfs",
    ],
    ["an empty ESP", [{ ...esp, content: undefined }], "0.content: an ESP needs vfat"],
    [
      "an ESP of ext4",
      [{ ...esp, content: { type: "ext4", mount: "/efi" } }],
      "0.content: an ESP needs vfat",
    ],
    [
      "an empty extended loader's partition",
      [{ ...esp, type: "xbootldr", content: undefined }],
      "0.content: an extended boot",
    ],
    [
      "an extended loader's partition of ext4",
      [{ ...esp, type: "xbootldr", content: { type: "ext4", mount: "/xbootldr" } }],
      "0.content: an extended boot loader partition needs vfat",
    ],
    [
      "swap where a root belongs",
      [linux("s", { type: "linux-root", content: swap })],
      "0.type: swap needs the type `linux-swap`",
    ],
    ["a loader's partition in an MBR", [bios], "0.type: an MBR has no bios-boot", "mbr"],
    [
      "an extended loader's partition in an MBR",
      [{ ...esp, type: "xbootldr" }],
      "0.type: an MBR has no extended",
      "mbr",
    ],
    [
      "attributes in an MBR",
      [linux("a", { attributes: ["required"] })],
      "0.attributes: an MBR has none",
      "mbr",
    ],
    ["a GUID in an MBR", [linux("a", { typeGuid: keptUuid })], "0.typeGuid: an MBR has no GUIDs", "mbr"],
    ["an active partition in a GPT", [linux("a", { active: true })], "0.active: is a mark of an MBR"],
  ])("is refused for %s", (_what, partitions, message, type) => {
    expect(problemsOf(partitions, {}, type)).toEqual([
      expect.stringContaining(`disks.a.table.partitions.${message}`),
    ]);
  });
});

describe("the size of an image", () => {
  const fits = (imageSize: string, ...sizes: unknown[]) =>
    problemsOf(
      sizes.map((size, index) => linux(`p${index}`, { size })),
      { imageSize },
    );

  it("holds the partitions, their least, and 2 MiB for the table", () => {
    const min = { min: "10MiB" };
    const max = { max: "50MiB" };
    expect(fits("100MiB", "50MiB", "48MiB")).toEqual([]);
    expect(fits("99MiB", "50MiB", "48MiB")).toEqual([
      "disks.a.imageSize: 99 MiB is too small; needs 100 MiB for the partitions and their table",
    ]);
    expect(fits("100MiB", "50%", min, max, "37MiB")).toEqual([]);
    expect(fits("100MiB", "50%", min, max, "38MiB")).toEqual([expect.stringContaining("needs 101 MiB")]);
    expect(fits("150MiB", "33%", "99MiB")).toEqual([]);
    expect(fits("150MiB", "33%", "100MiB")).toEqual([expect.stringContaining("needs 151 MiB")]);
  });

  it("leaves something for the rest", () => {
    expect(fits("101MiB", "98MiB", "rest")).toEqual([]);
    expect(fits("100MiB", "98MiB", "rest")).toEqual([
      expect.stringMatching(/needs 100 MiB for .*, and more for the rest$/),
    ]);
  });

  it("is refused where it is more than a number can say", () => {
    expect(fits("1GiB", "8000000000MiB", "8000000000MiB")).toEqual([expect.stringContaining("is too small")]);
  });
});
