import { describe, expect, it } from "vitest";
import { Storage } from "../../../../src/schema/storage.ts";
import { mountProblems } from "../../../../src/storage/check/check-mounts.ts";
import { esp, holding, keptDisk, keptUuid, root, storageOf } from "../../../helpers/builders/storage.ts";

const said = (storage: Storage) =>
  [...mountProblems(storage)].map(({ path, message }) => `${path.join(".")}: ${message}`);
const of = (partitions: readonly object[], more: object = {}) => {
  const { disks } = storageOf(partitions);
  return Storage.parse({ disks: { ...disks, ...(more as { disks?: object }).disks }, ...without(more) });
};
const without = (more: object) => Object.fromEntries(Object.entries(more).filter(([key]) => key !== "disks"));
const ext4 = (mount: string, more: object = {}) => holding({ type: "ext4", mount, ...more });
const luks = (unlock: object, content: object) => ({
  ...{ type: "luks", name: "c", key: "k", unlock, content },
});
const member = { ...esp, content: { type: "md-member", array: "md" } };
const esps = (mount: string) => ({
  arrays: { md: { level: 1, metadata: "1.0", content: { type: "vfat", mount } } },
});
const xbootldr = (mount: string) => ({ ...esp, type: "xbootldr", content: { type: "vfat", mount } });
const at = "storage.disks.system.table.partitions";

describe("mountProblems", () => {
  it.each<[string, Storage]>([
    ["an ESP and a root", of([esp, root])],
    ["an extended loader's partition", of([esp, { ...xbootldr("/xbootldr"), name: "x" }, root])],
    ["an ESP on an array", of([member, root], esps("/efi"))],
    ["an extended loader's partition on an array", of([member, root], esps("/xbootldr"))],
    ["a kept disk", of([root], { disks: { data: keptDisk } })],
    [
      "memory and another name of a directory",
      of([root], {
        tmpfs: { "/tmp": { size: "1MiB" } },
        binds: { "/srv": { from: "/home/srv" } },
      }),
    ],
    [
      "a swap file in a directory of the root",
      of([ext4("/swap2"), root], {
        swapFile: { path: "/swap/file", size: "1MiB" },
      }),
    ],
    [
      "a key file of what is no root",
      of([holding(luks({ type: "key-file" }, { type: "ext4", mount: "/c" })), root]),
    ],
    [
      "an encrypted root",
      of([{ ...root, content: luks({ type: "passphrase" }, { type: "ext4", mount: "/" }) }]),
    ],
  ])("finds nothing wrong with %s", (_what, storage) => {
    expect(said(storage)).toEqual([]);
  });

  it.each<[string, Storage, string]>([
    [
      "a place twice",
      of([ext4("/a"), { ...ext4("/a"), name: "b" }, root]),
      `${at}.1.content.mount: /a is mounted twice`,
    ],
    [
      "a place in memory that a disk has",
      of([ext4("/a"), root], { tmpfs: { "/a": { size: "1MiB" } } }),
      "storage.tmpfs./a: /a is mounted twice",
    ],
    [
      "a bind where memory is",
      of([root], { tmpfs: { "/a": { size: "1MiB" } }, binds: { "/a": { from: "/b" } } }),
      "storage.binds./a: /a is mounted twice",
    ],
    ["no root", of([ext4("/a")]), "storage.disks: needs one ext4, xfs, btrfs or f2fs mounted at `/`"],
    [
      "a kept root",
      of([{ ...root, content: { type: "ext4", mount: "/", keep: { uuid: keptUuid } } }]),
      `${at}.0.content.mount: needs one ext4`,
    ],
    [
      "a root that its own key opens",
      of([{ ...root, content: luks({ type: "key-file" }, { type: "ext4", mount: "/" }) }]),
      `${at}.0.content.unlock: the root's key cannot be on the root`,
    ],
    [
      "a FAT anywhere",
      of([{ ...holding({ type: "vfat", mount: "/efi" }) }, root]),
      `${at}.0.content.mount: vfat is only for an ESP`,
    ],
    [
      "an ESP elsewhere",
      of([{ ...esp, content: { type: "vfat", mount: "/boot" } }, root]),
      `${at}.0.content.mount: /boot is not accepted; an ESP needs`,
    ],
    [
      "an ESP in the other's place",
      of([{ ...esp, content: { type: "vfat", mount: "/xbootldr" } }, root]),
      `${at}.0.content.mount: /xbootldr is not accepted; an ESP needs`,
    ],
    [
      "the other in an ESP's place",
      of([xbootldr("/efi"), root]),
      `${at}.0.content.mount: /efi is not accepted; an ESP needs`,
    ],
    [
      "an ESP on an array elsewhere",
      of([member, root], esps("/boot")),
      "storage.arrays.md.content.mount: /boot is not accepted; an ESP needs",
    ],
    [
      "a swap file on another filesystem",
      of([ext4("/swap"), root], { swapFile: { path: "/swap/file", size: "1MiB" } }),
      "storage.swapFile.path: /swap/file is not a file of the root",
    ],
    [
      "a swap file that is a mount point",
      of([ext4("/swap"), root], { swapFile: { path: "/swap", size: "1MiB" } }),
      "storage.swapFile.path: /swap is not a file of the root",
    ],
    [
      "a swap file that is the root",
      of([root], { swapFile: { path: "/", size: "1MiB" } }),
      "storage.swapFile.path: / is not a file of the root",
    ],
    [
      "a swap file on btrfs",
      of([{ ...root, content: { type: "btrfs", mount: "/" } }], { swapFile: { size: "1MiB" } }),
      "storage.swapFile: a swap file on btrfs",
    ],
    [
      "a directory bound to itself",
      of([root], { binds: { "/a": { from: "/a" } } }),
      "storage.binds./a: a directory needs to be bound to another",
    ],
    [
      "the root bound elsewhere",
      of([root], { binds: { "/a": { from: "/" } } }),
      "storage.binds./a: a directory needs to be bound to another",
    ],
  ])("refuses %s", (_what, storage, message) => {
    expect(said(storage)).toEqual([expect.stringContaining(message)]);
  });

  it("refuses FAT as a root, and a bind over the root, for all that is wrong with them", () => {
    expect(said(of([{ ...esp, content: { type: "vfat", mount: "/" } }]))).toEqual([
      expect.stringContaining("needs one ext4"),
      expect.stringContaining("/ is not accepted; an ESP needs"),
    ]);
    expect(said(of([root], { binds: { "/": { from: "/a" } } }))).toEqual([
      expect.stringContaining("/ is mounted twice"),
      expect.stringContaining("a directory needs to be bound to another"),
    ]);
  });

  it("says nothing of a swap file where there is no root to put it on", () => {
    expect(said(of([ext4("/a")], { swapFile: { size: "1MiB" } }))).toEqual([
      expect.stringContaining("needs one"),
    ]);
  });
});
