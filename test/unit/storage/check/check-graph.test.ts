import { describe, expect, it } from "vitest";
import { Storage } from "../../../../src/schema/storage.ts";
import { storageProblems } from "../../../../src/storage/check/check-graph.ts";
import { holding, keptDisk, keptUuid, root } from "../../../helpers/builders/storage.ts";
import { storageFor } from "../../../helpers/builders/storage-steps.ts";

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

  it.each<[string, Storage, string | string[]]>([
    [
      "an array that is not there",
      storageFor([[md]]),
      "a.table.partitions.0.content.array: `md` needs an entry of that name in storage.arrays",
    ],
    [
      "a group that is not there, and tells those that are",
      storageFor([[pv, part({ type: "lvm-pv", group: "other" }, { name: "o" })]], vg({})),
      "a.table.partitions.1.content.group: `other` is not in storage.volumeGroups; accepted are vg",
    ],
    [
      "a pool that is not there",
      storageFor([[part({ type: "btrfs-member", pool: "p" })]]),
      "content.pool: `p` needs an entry of that name in storage.pools",
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
      "storage: is in itself: group vg needs volume vg/a content needs volume vg/a needs group vg",
    ],
    [
      "an array that lies in itself",
      storageFor([[md, { ...md, name: "n" }]], {
        arrays: { md: { level: 1, content: { type: "md-member", array: "md" } } },
      }),
      ["storage.arrays.md.content: an array is no member of an array", "storage: is in itself"],
    ],
    [
      "two volumes of one name",
      storageFor([[part(luks()), part(luks({ content: ext4("/d") }), { name: "n" })]]),
      "content.name: would be /dev/mapper/c, and so would partition a/data",
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
      "content.content.keep: cannot be kept: what it is in is made anew",
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
    ["no size", storageFor([[{ name: "n", type: "linux" }]]), "size: is missing; needs one as"],
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
      "volumes.a.size: a thin volume needs an absolute size",
    ],
    [
      "the rest before the end of a group",
      storageFor([[pv]], vg({ a: { size: "rest" }, b: { size: "1GiB" } })),
      [
        'volumes.a.size: "rest" is only for the last volume of a group',
        "volumes.b: volume vg/b needs 1024 MiB",
      ],
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
    [
      "swap in an ESP",
      storageFor([[part({ type: "swap" }, { type: "esp" })]]),
      ["content: an ESP needs vfat", "type: swap needs the type"],
    ],
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
      "unlock: the root's key cannot be on the root",
    ],
    [
      "two disks that are one",
      Storage.parse({ disks: { ...storageFor([[]]).disks, b: { ...keptDisk, match: { serial: "A" } } } }),
      "storage.disks.b.match: matches the same disk as `a`",
    ],
    [
      "a bind of nothing",
      storageFor([[]], { binds: { "/x": { from: "/x" } } }),
      "storage.binds./x: a directory needs to be bound to another",
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
    expect(told(storage)).toEqual([message].flat().map((one) => expect.stringContaining(one)));
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

describe("a name that leads nowhere", () => {
  it("is shown with those that there are", () => {
    const at = "storage.disks.a.table.partitions.0.content";
    expect(told(storageFor([[md]]))).toEqual([
      `${at}.array: \`md\` needs an entry of that name in storage.arrays, which has none`,
    ]);
    const groups = { volumeGroups: { vg: { volumes: {} }, other: { volumes: {} } } };
    const [first] = told(storageFor([[part({ type: "lvm-pv", group: "none" })]], groups)).filter((one) =>
      one.startsWith(at),
    );
    expect(first).toBe(`${at}.group: \`none\` is not in storage.volumeGroups; accepted are vg, other`);
  });
});

describe("what a stack may be", () => {
  const pvUuid = "Kq3vY1-7bXc-9dTe-2fRg-4hJk-6lMn-8pQrSt";
  const keep = { uuid: keptUuid };
  const keptPv = (name: string) => part({ type: "lvm-pv", group: "vg", keep: { uuid: pvUuid } }, { name });
  const member = (name: string) => part({ type: "btrfs-member", pool: "p" }, { name });
  const pool = (more: object, partitions = [member("x"), member("y")]) =>
    Storage.parse({
      disks: {
        a: { match: { serial: "A" }, imageSize: "8GiB", table: { type: "gpt", partitions } },
      },
      pools: { p: { mount: "/", ...more } },
    });
  const header = (name: string, volume = "c") => part({ type: "luks-header", volume }, { name });
  const apart = (more: object = {}) => part(luks({ detachedHeader: true, ...more }));
  const thin = { b: { kind: "thin-pool", size: "1GiB" } };
  const big = (volumes: object) =>
    storageFor([[part({ type: "lvm-pv", group: "vg" }, { size: "6GiB" })]], vg(volumes));

  it.each<[string, Storage]>([
    [
      "a kept group with a kept and a new volume",
      storageFor(
        [[keptPv("x"), keptPv("y")]],
        vg({ a: { content: ext4("/a", { keep }) }, b: { size: "1GiB", content: ext4("/b") } }),
      ),
    ],
    [
      "a pool of one where nothing is to be on two disks",
      pool({ data: "single", metadata: "single" }, [member("x")]),
    ],
    ["a root that starts without a disk", pool({ data: "raid1", metadata: "raid10", startDegraded: true })],
    ["a volume with its header apart", storageFor([[apart(), header("h")]])],
    [
      "a volume with its header apart, beside others",
      storageFor([
        [
          apart(),
          header("h"),
          part(luks({ name: "d", detachedHeader: true, content: ext4("/d") }), { name: "d" }),
          header("hd", "d"),
        ],
      ]),
    ],
    ["a volume that a TPM opens", storageFor([[part(luks({ unlock: { type: "tpm2" } }))]])],
    [
      "a kept subvolume of a kept filesystem",
      storageFor([[part({ type: "btrfs", keep, subvolumes: { a: { keep: true }, b: {} } })]]),
    ],
    [
      "a kept volume in a kept LUKS volume",
      storageFor([
        [
          part(
            luks({ keep, content: ext4("/c", { keep: { uuid: "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718" } }) }),
          ),
        ],
      ]),
    ],
    [
      "the rest of a group before thin volumes",
      big({ b: { kind: "thin-pool", size: "rest" }, a: { kind: "thin", size: "1GiB", pool: "b" } }),
    ],
    [
      "copies and stripes of a number",
      storageFor(
        [[pv, { ...pv, name: "y" }, { ...pv, name: "z" }]],
        vg({
          a: { kind: "raid1", size: "64MiB", over: 3 },
          b: { kind: "striped", size: "64MiB", over: 3 },
        }),
      ),
    ],
    [
      "keys of several swaps",
      storageFor([
        [
          part({ type: "swap", randomKey: "s" }, { name: "s" }),
          part({ type: "swap", randomKey: "t" }, { name: "t" }),
          part({ type: "swap" }, { name: "u" }),
          part({ type: "swap" }, { name: "v" }),
        ],
      ]),
    ],
  ])("is right for %s", (_what, storage) => {
    expect(told(storage)).toEqual([]);
  });

  it.each<[string, Storage, string[]]>([
    [
      "something kept in an array",
      storageFor([[md], [md]], { arrays: { md: { level: 1, content: ext4("/a", { keep }) } } }),
      ["storage.arrays.md.content: an array is made anew"],
    ],
    [
      "a group whose members are other things",
      storageFor([[part(luks({ content: ext4("/c") }))]], vg({})),
      ["storage.volumeGroups.vg: has no members; needs an `lvm-pv` of the group `vg`"],
    ],
    ["a pool of one that needs two", pool({}, [member("x")]), ["storage.pools.p: has 1 members; needs two"]],
    [
      "a pool of none",
      storageFor([[]], { pools: { p: { mount: "/p", data: "single", metadata: "single" } } }),
      ["storage.pools.p: has 0 members"],
    ],
    [
      "a start without a disk that holds data alone",
      pool({ data: "raid0", metadata: "raid1", startDegraded: true }),
      ["storage.pools.p.startDegraded: needs `data` and `metadata`"],
    ],
    [
      "a start without a disk that holds metadata alone",
      pool({ data: "raid1", metadata: "single", startDegraded: true }),
      ["storage.pools.p.startDegraded: needs `data` and `metadata`"],
    ],
    [
      "a start without a disk of what is no root",
      storageFor([[member("x"), member("y")]], { pools: { p: { mount: "/p", startDegraded: true } } }),
      ["storage.pools.p.startDegraded: is only for the pool that holds `/`"],
    ],
    [
      "a start without a disk of another pool than the root's",
      Storage.parse({
        disks: {
          a: {
            match: { serial: "A" },
            imageSize: "8GiB",
            table: {
              type: "gpt",
              partitions: [
                member("x"),
                member("y"),
                part({ type: "btrfs-member", pool: "q" }, { name: "qx" }),
                part({ type: "btrfs-member", pool: "q" }, { name: "qy" }),
              ],
            },
          },
        },
        pools: { p: { mount: "/" }, q: { mount: "/q", startDegraded: true } },
      }),
      ["storage.pools.q.startDegraded: is only for the pool that holds `/`"],
    ],
    [
      "a header in a volume",
      storageFor(
        [[apart(), part({ type: "lvm-pv", group: "vg" }, { name: "pv" })]],
        vg({ h: { size: "64MiB", content: { type: "luks-header", volume: "c" } } }),
      ),
      ["storage.volumeGroups.vg.volumes.h.content: a header needs to be the content of a partition"],
    ],
    [
      "a header of a volume that has its own",
      storageFor([[part(luks()), header("h")]]),
      ["1.content.volume: `c` is no LUKS volume with `detachedHeader: true`"],
    ],
    [
      "a header of another volume",
      storageFor([[apart(), header("h"), header("i", "d")]]),
      ["2.content.volume: `d` is no LUKS volume"],
    ],
    [
      "two headers of a volume",
      storageFor([[apart(), header("h"), header("i")]]),
      [
        "0.content.detachedHeader: needs one partition with the content `luks-header` of the volume `c`; there are 2",
      ],
    ],
    ...["tpm2", "tang"].map((type): [string, Storage, string[]] => [
      `a header apart that ${type} opens`,
      storageFor([
        [
          apart({
            unlock:
              type === "tang" ? { type, url: "http://192.0.2.1", thumbprint: "a".repeat(43) } : { type },
          }),
          header("h"),
        ],
      ]),
      ["0.content.unlock: clevis knows no header that is apart"],
    ]),
    [
      "a kept volume with its header apart",
      storageFor([[apart({ keep }), header("h")]]),
      [
        "0.content.keep: a volume with its header apart is not kept",
        "0.content.keep: cannot be kept: what it is in is made anew",
      ],
    ],
    ["a volume without a size", big({ a: { content: ext4("/a") } }), ["volumes.a.size: is missing"]],
    [
      "a kept volume of one of two groups that is new",
      storageFor([[keptPv("x"), part({ type: "lvm-pv", group: "new" }, { name: "y" })]], {
        volumeGroups: {
          vg: { volumes: { new: { content: ext4("/a", { keep }) } } },
          new: {
            volumes: {
              a: {
                size: "64MiB",
                content: ext4("/b", { keep: { uuid: "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718" } }),
              },
            },
          },
        },
      }),
      ["storage.volumeGroups.new.volumes.a.content: cannot be kept: the group `new` is made anew"],
    ],
    [
      "a thin volume of no pool",
      big({ ...thin, a: { kind: "thin", size: "1GiB" } }),
      ["volumes.a.pool: needs the name of a volume"],
    ],
    [
      "a pool of what is not thin",
      big({ ...thin, a: { size: "64MiB", pool: "b" } }),
      ["volumes.a.pool: is only for volumes of the kind `thin`"],
    ],
    [
      "a pool with a filesystem",
      big({ b: { kind: "thin-pool", size: "1GiB", content: ext4("/b") } }),
      ["volumes.b.content: a thin-pool holds thin volumes"],
    ],
    [
      "a number of pools",
      big({ b: { kind: "thin-pool", size: "1GiB", over: 2 } }),
      ["volumes.b.over: is only for volumes of the kinds"],
    ],
    [
      "a swap and a LUKS volume of a name",
      storageFor([[part(luks()), part({ type: "swap", randomKey: "c" }, { name: "s" })]]),
      ["1.content.randomKey: would be /dev/mapper/c, and so would partition a/data"],
    ],
  ])("is refused for %s", (_what, storage, messages) => {
    expect(told(storage).sort()).toEqual(messages.map((one) => expect.stringContaining(one)));
  });

  it("is not two disks of one table, each of which would keep it; disks without one are other disks", () => {
    const of = (...matches: object[]) =>
      told(
        Storage.parse({
          disks: Object.fromEntries(
            matches.map((match, index) => [
              `d${index}`,
              { match, table: { type: "gpt", partitions: [index === 0 ? root : part(ext4(`/${index}`))] } },
            ]),
          ),
        }),
      );
    const tableUuid = "ab12cd34";
    expect(of({ serial: "A" }, { serial: "B" }, { serial: "A", wwn: "W" })).toEqual([]);
    expect(of({ tableUuid, serial: "A" }, { tableUuid, serial: "B" })).toEqual([
      "storage.disks.d1.match.tableUuid: is that of `d0` too, and each of them would keep it; needs one of its own",
    ]);
    expect(of({ tableUuid }, { tableUuid })).toEqual([
      expect.stringContaining("d1.match: matches the same disk as `d0`"),
    ]);
  });
});
