import { describe, expect, it } from "vitest";
import { Storage } from "../../src/schema/storage.ts";
import { storageProblems } from "../../src/storage/check-graph.ts";
import { holding, keptDisk, keptUuid, root } from "../helpers/storage.ts";
import { storageFor } from "../helpers/storage-steps.ts";

const told = (storage: Storage) =>
  storageProblems(storage).map(({ path, message }) => `${path.join(".")}: ${message}`);
const ext4 = (mount: string, more: object = {}) => ({ type: "ext4", mount, ...more });
const luks = (more: object = {}) => ({ type: "luks", name: "c", key: "k", content: ext4("/c"), ...more });
const part = (content: object, more: object = {}) => ({ ...holding(content), ...more });
const pv = part({ type: "lvm-pv", group: "vg" });
const md = part({ type: "md-member", array: "md" });
const vg = (volumes: object) => ({ volumeGroups: { vg: { volumes } } });

describe("F40: storageProblems", () => {
  it("finds nothing wrong with a stack of everything", () => {
    const storage = storageFor([[part({ type: "md-member", array: "md" })], [md]], {
      arrays: { md: { level: 1, content: luks({ content: { type: "lvm-pv", group: "vg" } }) } },
      ...vg({ home: { size: "rest", content: ext4("/home") } }),
    });
    expect(told(storage)).toEqual([]);
  });

  it.each<[string, Storage, string]>([
    [
      "an array that is not there",
      storageFor([[md]]),
      "a.table.partitions.0.content.array: `md` is not among",
    ],
    [
      "a group that is not there, and tells those that are",
      storageFor([[pv, part({ type: "lvm-pv", group: "other" }, { name: "o" })]], vg({})),
      "a.table.partitions.1.content.group: `other` is not among the storage.volumeGroups: vg",
    ],
    [
      "a pool that is not there",
      storageFor([[part({ type: "btrfs-member", pool: "p" })]]),
      "content.pool: `p` is not among the storage.pools",
    ],
    [
      "an array of one",
      storageFor([[md]], { arrays: { md: { level: 1, content: ext4("/x") } } }),
      "storage.arrays.md: has 1 members; level 1 needs 2",
    ],
    ["a group of none", storageFor([[]], vg({})), "storage.volumeGroups.vg: has no members"],
    [
      "a pool of one",
      storageFor([[part({ type: "btrfs-member", pool: "p" })]], { pools: { p: { mount: "/p" } } }),
      "storage.pools.p: has 1 members",
    ],
    [
      "a group that lies in its own volume",
      storageFor([[pv]], vg({ a: { size: "rest", content: { type: "lvm-pv", group: "vg" } } })),
      "storage: lies in itself: group vg needs volume vg/a content needs volume vg/a needs group vg",
    ],
    [
      "an array that lies in itself",
      storageFor([[md, { ...md, name: "n" }]], {
        arrays: { md: { level: 1, content: { type: "md-member", array: "md" } } },
      }),
      "storage: lies in itself",
    ],
    [
      "two volumes of one name",
      storageFor([[part(luks()), part(luks({ content: ext4("/d") }), { name: "n" })]]),
      "content: would be /dev/mapper/c, and so would partition a/data",
    ],
    ["a mount point twice", storageFor([[part(ext4("/"))]]), "mount: / is mounted twice"],
    [
      "a mount point of a disk and of memory",
      storageFor([[part(ext4("/x"))]], { tmpfs: { "/x": { size: "1MiB" } } }),
      "storage.tmpfs./x: /x is mounted twice",
    ],
    [
      "something kept in what is made anew",
      storageFor([[part(luks({ content: ext4("/c", { keep: { uuid: keptUuid } }) }))]]),
      "content.content.keep: cannot be kept: what it lies in is made anew",
    ],
    [
      "a kept volume of a new group",
      storageFor([[pv]], vg({ a: { content: ext4("/a", { keep: { uuid: keptUuid } }) } })),
      "storage.volumeGroups.vg.volumes.a.content: cannot be kept: the group `vg` is made anew",
    ],
    [
      "a kept subvolume of a new filesystem",
      storageFor([[part({ type: "btrfs", subvolumes: { a: { mount: "/a", keep: true } } })]]),
      "subvolumes.a.keep: cannot be kept: its filesystem is made anew",
    ],
    [
      "a group kept by half",
      storageFor(
        [
          [
            pv,
            part(
              { type: "lvm-pv", group: "vg", keep: { uuid: "Kq3vY1-7bXc-9dTe-2fRg-4hJk-6lMn-8pQrSt" } },
              { name: "n" },
            ),
          ],
        ],
        vg({}),
      ),
      "storage.volumeGroups.vg: is kept in one member and made anew in another",
    ],
    ["no size", storageFor([[{ name: "n", type: "linux" }]]), "size: is missing; only what is kept"],
    [
      "a header for nobody",
      storageFor([[part({ type: "luks-header", volume: "c" })]]),
      "content.volume: `c` is no LUKS volume with `detachedHeader: true`",
    ],
    [
      "a detached header nowhere",
      storageFor([[part(luks({ detachedHeader: true }))]]),
      "detachedHeader: needs one partition with the content `luks-header` of the volume `c`; there are 0",
    ],
    [
      "a thin volume without a pool",
      storageFor([[pv]], vg({ a: { kind: "thin", size: "1GiB", pool: "b" }, b: { size: "rest" } })),
      "volumes.a.pool: needs the name of a volume of the group `vg` whose kind is `thin-pool`",
    ],
    [
      "a thin volume of a share",
      storageFor(
        [[pv]],
        vg({ b: { kind: "thin-pool", size: "rest" }, a: { kind: "thin", size: "50%", pool: "b" } }),
      ),
      "volumes.a.size: a thin volume has an absolute size",
    ],
    [
      "the rest before the end of a group",
      storageFor([[pv]], vg({ a: { size: "rest" }, b: { size: "1GiB" } })),
      'volumes.a.size: "rest" is only for the last volume of a group',
    ],
    [
      "stripes of a linear volume",
      storageFor([[pv]], vg({ a: { size: "rest", over: 2 } })),
      "volumes.a.over: is only for volumes of the kinds",
    ],
    [
      "an attribute of a GPT in an MBR",
      Storage.parse({
        disks: {
          a: {
            match: { serial: "A" },
            table: { type: "mbr", partitions: [{ ...root, attributes: ["required"] }] },
          },
        },
      }),
      "attributes: an MBR has none",
    ],
    [
      "an active partition in a GPT",
      storageFor([[part(ext4("/x"), { active: true })]]),
      "active: is a mark of an MBR",
    ],
    ["swap in an ESP", storageFor([[part({ type: "swap" }, { type: "esp" })]]), "content: an ESP needs vfat"],
    [
      "shares of more than the disk",
      storageFor([[part(ext4("/x"), { size: "60%" }), part(ext4("/y"), { size: "60%", name: "y" })]]),
      "storage.disks.a.imageSize: 8192 MiB is too small",
    ],
    [
      "a root that opens itself",
      Storage.parse({
        disks: {
          a: {
            match: { serial: "A" },
            table: {
              type: "gpt",
              partitions: [
                part(luks({ unlock: { type: "key-file" }, content: ext4("/") }), { size: "rest" }),
              ],
            },
          },
        },
      }),
      "unlock: the root's key cannot lie on the root",
    ],
    [
      "two disks that are one",
      Storage.parse({ disks: { ...storageFor([[]]).disks, b: { ...keptDisk, match: { serial: "A" } } } }),
      "storage.disks.b.match: matches the same disk as `a`",
    ],
    [
      "a bind of nothing",
      storageFor([[]], { binds: { "/x": { from: "/x" } } }),
      "storage.binds./x: a directory is bound to another one",
    ],
    [
      "a swap file on btrfs",
      Storage.parse({
        disks: {
          a: {
            match: { serial: "A" },
            table: { type: "gpt", partitions: [{ ...root, content: { type: "btrfs", mount: "/" } }] },
          },
        },
        swapFile: { size: "1MiB" },
      }),
      "storage.swapFile: a swap file on btrfs is not supported",
    ],
  ])("refuses %s", (_name, storage, message) => {
    const all = told(storage);
    expect(
      all.some((one) => one.includes(message)),
      all.join("\n"),
    ).toBe(true);
  });

  it.each<[string, unknown]>([
    ["a label of 13 letters on xfs", part({ type: "xfs", mount: "/x", label: "a".repeat(13) })],
    ["a label of 17 letters on ext4", part(ext4("/x", { label: "a".repeat(17) }))],
    ["a label of 12 letters on FAT", part({ type: "vfat", mount: "/efi", label: "A".repeat(12) })],
    ["a name of 37 letters", part(ext4("/x"), { name: "a".repeat(37) })],
    ["a negative size", part(ext4("/x"), { size: -1 })],
    ["a size beyond numbers", part(ext4("/x"), { size: "9999999999TiB" })],
    ["a `min` above `max`", part(ext4("/x"), { size: { min: "2GiB", max: "1GiB" } })],
    ["an unknown key", part(ext4("/x", { labell: "x" }))],
    ["LUKS in LUKS", part(luks({ content: luks() }))],
  ])("knows by its schema that there is no %s", (_name, partition) => {
    const table = { type: "gpt", partitions: [partition] };
    expect(Storage.safeParse({ disks: { a: { match: { serial: "A" }, table } } }).success).toBe(false);
  });

  it("knows by its schema that a GPT has 128 partitions, and an MBR four", () => {
    const many = (type: string, count: number) =>
      Storage.safeParse({
        disks: {
          a: {
            match: { serial: "A" },
            table: {
              type,
              partitions: Array.from({ length: count }, (_, index) => ({
                name: `p${index}`,
                type: "linux",
                size: "1MiB",
              })),
            },
          },
        },
      }).success;
    expect([many("gpt", 128), many("gpt", 129), many("mbr", 4), many("mbr", 5)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });
});
