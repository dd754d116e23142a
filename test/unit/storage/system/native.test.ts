import { describe, expect, it } from "vitest";
import { beyondFile } from "../../../../src/storage/system/native.ts";
import { esp, holding, keptDisk, keptUuid, root, storageOf } from "../../../helpers/builders/storage.ts";

const other = {
  match: { serial: "O" },
  table: { type: "gpt", partitions: [{ ...root, content: undefined }] },
};
const kept = { type: "luks", uuid: keptUuid, name: "c", key: "k", content: { ...keptDisk.keep[0] } };

describe("beyondFile", () => {
  it("says nothing of what is made without a kernel, nor of what is only named to the new system", () => {
    const storage = storageOf([esp, holding({ type: "swap" }), root], {
      disks: { data: { ...keptDisk, keep: [kept] } },
    });
    expect(beyondFile(storage)).toBeUndefined();
  });

  it("names the first thing that only a kernel makes", () => {
    const of = (content: object, more: object = {}) => ({ ...storageOf([holding(content), root]), ...more });
    expect(beyondFile(of({ type: "xfs", mount: "/x" }))).toBe(
      "xfs in partition system/data cannot be made in an image file",
    );
    const luks = { type: "luks", name: "c", key: "k", content: { type: "ext4", mount: "/c" } };
    expect(beyondFile(of(luks))).toBe("luks in partition system/data cannot be made in an image file");
    const pools = { p: { mount: "/p", subvolumes: {}, options: [], data: "single", metadata: "single" } };
    expect(beyondFile({ ...storageOf([root]), pools } as unknown as Parameters<typeof beyondFile>[0])).toBe(
      "pool p cannot be made in an image file",
    );
  });

  it("is for one disk", () => {
    expect(beyondFile(storageOf([root], { disks: { other } }))).toBe(
      "the definition writes 2 disks; a native build makes one",
    );
  });
});
