import { describe, expect, it } from "vitest";
import { copiesOver, rowsOver, takeRows } from "../../../../src/disks/extents.ts";
import { Storage } from "../../../../src/schema/storage.ts";
import { storageProblems } from "../../../../src/storage/check/check-graph.ts";
import { matchDisks } from "../../../../src/storage/match/match-disks.ts";
import { storageSteps } from "../../../../src/storage/plan/storage-steps.ts";
import { laidOn, refuseMisfit } from "../../../../src/storage/size/fit.ts";
import { arrayBytes, poolBytes, roomsOf } from "../../../../src/storage/size/room.ts";
import { diskFacts, mib } from "../../../helpers/builders/storage.ts";

const gib = 1024 * mib;
const ext4 = (mount: string) => ({ type: "ext4", mount });
const pv = { type: "lvm-pv", group: "vg" };
const md = { type: "md-member", array: "md" };
const member = { type: "btrfs-member", pool: "p" };
const luks = (content: object, more: object = {}) => ({
  type: "luks",
  name: "c",
  key: "k",
  content,
  ...more,
});
const volumes = (all: object) => ({ volumeGroups: { vg: { volumes: all } } });
/** All of a disk but the first MiB and the last. */
const whole = (sizeBytes: number) => sizeBytes - 2 * mib;

/** Disks a, b … of these sizes, each with one partition that holds this. */
function on(sizes: readonly number[], content: object, more: object = {}) {
  const names = sizes.map((_, index) => String.fromCharCode(97 + index));
  const storage = Storage.parse({
    disks: Object.fromEntries(
      names.map((name) => [
        name,
        {
          match: { serial: `${name}-9F2C` },
          table: { type: "gpt", partitions: [{ name: "all", type: "linux", size: "rest", content }] },
        },
      ]),
    ),
    ...more,
  });
  const disks = Object.fromEntries(
    names.map((name, index) => [
      name,
      diskFacts(`vd${name}`, { serial: `${name}-9F2C`, sizeBytes: sizes[index]! }),
    ]),
  );
  const { held, problems } = roomsOf(storage, laidOn(storage, disks));
  return {
    storage,
    disks,
    mib: (place: string) => Math.floor((held.get(place)?.bytes ?? 0) / mib),
    problems: problems.map(({ message }) => message),
  };
}

describe("what a place can hold", () => {
  it.each<[string, () => ReturnType<typeof on>, string, number]>([
    ["a partition", () => on([6 * gib], ext4("/")), "partition a/all", 6142],
    ["a LUKS volume", () => on([6 * gib], luks(ext4("/"))), "luks c", 6142 - 16],
    [
      "one with its header apart",
      () => on([6 * gib], luks(ext4("/"), { detachedHeader: true })),
      "luks c",
      6142,
    ],
    [
      "a mirror of two of 6 GiB",
      () => on([6 * gib, 6 * gib], md, { arrays: { md: { level: 1, content: ext4("/") } } }),
      "array md",
      6135,
    ],
    [
      "a mirror as large as the smaller one",
      () => on([6 * gib, 3 * gib], md, { arrays: { md: { level: 1, metadata: "1.0", content: ext4("/") } } }),
      "array md",
      3069,
    ],
    [
      "a mirror in LUKS",
      () => on([6 * gib, 6 * gib], md, { arrays: { md: { level: 1, content: luks(ext4("/")) } } }),
      "luks c",
      6135 - 16,
    ],
    [
      "a linear volume of all",
      () => on([6 * gib], pv, volumes({ root: { size: "rest", content: ext4("/") } })),
      "volume vg/root",
      6140,
    ],
    [
      "a share of a group of two",
      () => on([6 * gib, 6 * gib], pv, volumes({ root: { size: "50%", content: ext4("/") } })),
      "volume vg/root",
      6140,
    ],
    [
      "a raid1 volume of all",
      () =>
        on([6 * gib, 4 * gib], pv, volumes({ root: { kind: "raid1", size: "rest", content: ext4("/") } })),
      "volume vg/root",
      4092 - 4,
    ],
    [
      "a striped volume of all, as wide as its narrowest",
      () =>
        on([6 * gib, 4 * gib], pv, volumes({ root: { kind: "striped", size: "rest", content: ext4("/") } })),
      "volume vg/root",
      2 * 4092,
    ],
    [
      "what is left behind volumes of a size",
      () =>
        on(
          [6 * gib],
          pv,
          volumes({ a: { size: "2GiB", content: ext4("/a") }, b: { size: "rest", content: ext4("/") } }),
        ),
      "volume vg/b",
      6140 - 2048,
    ],
    [
      "a thin volume no larger than its pool",
      () =>
        on(
          [6 * gib],
          pv,
          volumes({
            pool: { kind: "thin-pool", size: "2GiB" },
            root: { kind: "thin", pool: "pool", size: "20GiB", content: ext4("/") },
          }),
        ),
      "volume vg/root",
      2048,
    ],
    [
      "a thin pool of all, less its metadata and the spare",
      () => on([6 * gib], pv, volumes({ pool: { kind: "thin-pool", size: "rest" } })),
      "volume vg/pool",
      6140 - 2 * 8,
    ],
    [
      "volumes on an array",
      () =>
        on([4 * gib, 4 * gib, 4 * gib], md, {
          arrays: { md: { level: 5, content: pv } },
          ...volumes({ root: { size: "rest", content: ext4("/") } }),
        }),
      "volume vg/root",
      2 * 4089 - 2,
    ],
    [
      "an extent that only the header of a member leaves out",
      () => on([6 * gib + 2 * mib], pv, volumes({ root: { size: "rest" } })),
      "volume vg/root",
      6140,
    ],
    ["a volume of one extent", () => on([6 * gib], pv, volumes({ a: { size: "4MiB" } })), "volume vg/a", 4],
    ["a volume of no size", () => on([6 * gib], pv, volumes({ a: {} })), "volume vg/a", 6140],
    [
      "what a mirror and its notes leave",
      () => on([6 * gib, 6 * gib], pv, volumes({ a: { kind: "raid1", size: "1GiB" }, b: { size: "rest" } })),
      "volume vg/b",
      2 * (1535 - 257) * 4,
    ],
    [
      "what a mirror of three leaves",
      () =>
        on(
          [6 * gib, 6 * gib, 6 * gib],
          pv,
          volumes({ a: { kind: "raid1", over: 3, size: "1GiB" }, b: { size: "rest" } }),
        ),
      "volume vg/b",
      3 * (1535 - 257) * 4,
    ],
    [
      "a stripe of an odd number of extents",
      () => on([6 * gib, 6 * gib], pv, volumes({ a: { kind: "striped", size: "12MiB" } })),
      "volume vg/a",
      16,
    ],
    [
      "what such a stripe leaves",
      () =>
        on(
          [6 * gib, 6 * gib],
          pv,
          volumes({ a: { kind: "striped", size: "12MiB" }, b: { kind: "striped", size: "rest" } }),
        ),
      "volume vg/b",
      2 * (1535 - 2) * 4,
    ],
    [
      "what a thin pool, its metadata and the spare leave",
      () => on([6 * gib], pv, volumes({ a: { kind: "thin-pool", size: "5GiB" }, b: { size: "rest" } })),
      "volume vg/b",
      (1535 - 1280 - 4) * 4,
    ],
    [
      "a thin pool so large that its metadata is no larger",
      () => on([300 * gib], pv, volumes({ pool: { kind: "thin-pool", size: "rest" } })),
      "volume vg/pool",
      (76_799 - 64) * 4,
    ],
    [
      "a thin volume of a pool that is not there",
      () => on([6 * gib], pv, volumes({ a: { kind: "thin", pool: "none", size: "1GiB" } })),
      "volume vg/a",
      0,
    ],
    ["LUKS in the least room", () => on([19 * mib], luks(ext4("/"))), "luks c", 1],
    [
      "a btrfs mirror",
      () => on([6 * gib, 6 * gib], member, { pools: { p: { mount: "/" } } }),
      "pool p",
      6142,
    ],
  ])("is counted for %s", (_what, make, place, expected) => {
    const { mib: held, problems } = make();
    expect(problems).toEqual([]);
    expect(held(place)).toBe(expected);
  });

  it.each([
    [0, [100, 60], 160],
    [1, [100, 60], 60],
    [1, [100, 100, 60], 60],
    [6, [100, 100, 100, 100, 60], 180],
    [5, [100, 100, 60], 120],
    [6, [100, 100, 100, 100], 200],
    [10, [100, 100], 100],
    [10, [100, 100, 100], 150],
  ] as const)(
    "of an array of level %s with members of %j GiB is %s GiB, less a little for itself",
    (level, members, expected) => {
      const bytes = arrayBytes(
        { level, metadata: "1.2" },
        members.map((one) => one * gib),
      );
      expect(bytes).toBeLessThan(expected * gib);
      expect(bytes).toBeGreaterThan(expected * gib * 0.998);
    },
  );

  it.each([
    ["single", [5, 3], 8],
    ["raid0", [5, 3], 6],
    ["raid0", [5, 3, 3], 11],
    ["raid1", [5, 3], 3],
    ["raid1", [5, 3, 3], 5.5],
    ["raid10", [4, 4, 4, 4], 8],
  ] as const)("of a btrfs of the profile %s over %j GiB is %s GiB", (data, members, expected) => {
    expect(
      poolBytes(
        { data },
        members.map((one) => one * gib),
      ),
    ).toBe(expected * gib);
  });
});

describe("what is not known", () => {
  const known = (storage: Storage) => {
    const { held, problems } = roomsOf(storage, (disk) => (disk === "a" ? gib : undefined));
    expect(problems).toEqual([]);
    return [...held.keys()];
  };

  it("is no size of what lies on it, and no problem", () => {
    const two = (content: object, more: object) => on([gib, gib], content, more).storage;
    expect(known(two(md, { arrays: { md: { level: 1, content: ext4("/") } } }))).toEqual(["partition a/all"]);
    expect(known(two(pv, volumes({ a: { size: "30GiB" } })))).toEqual(["partition a/all"]);
    expect(known(two(member, { pools: { p: { mount: "/" } } }))).toEqual(["partition a/all"]);
    expect(known(on([gib], ext4("/a"), { swapFile: { size: "30GiB" } }).storage)).toEqual([
      "partition a/all",
    ]);
  });

  it("is what members have that are not there", () => {
    const none = { arrays: { md: { level: 1, content: ext4("/m") } }, pools: { p: { mount: "/p" } } };
    expect(known(on([gib], ext4("/"), { ...none, ...volumes({ a: { size: "30GiB" } }) }).storage)).toEqual([
      "partition a/all",
    ]);
  });

  it("is all that lies in itself", () => {
    const itself = on([gib], pv, volumes({ a: { size: "30GiB", content: pv } })).storage;
    expect(known(itself)).toEqual([]);
  });

  it("is what a thin volume of a share holds, unlike others, which share a pool's data", () => {
    const all = {
      p: { kind: "thin-pool", size: "64MiB" },
      q: { kind: "thin-pool", size: "128MiB" },
      a: { kind: "thin", pool: "q", size: "1GiB" },
      b: { kind: "thin", pool: "q", size: "50%" },
      c: { kind: "thin", size: "64MiB" },
    };
    const { storage, disks } = on([gib], pv, volumes(all));
    const { held } = roomsOf(storage, laidOn(storage, disks));
    expect(Object.fromEntries(held)).toEqual({
      "partition a/all": { bytes: whole(gib) },
      "volume vg/p": { bytes: 64 * mib },
      "volume vg/q": { bytes: 128 * mib },
      "volume vg/a": { bytes: 128 * mib, thinPool: { name: "vg/q", bytes: 128 * mib } },
    });
  });
});

describe("what cannot fit", () => {
  const big = (size: number, kind = "linear", more: object = {}) =>
    on([5 * gib, 5 * gib], pv, volumes({ root: { size: `${size}GiB`, kind, content: ext4("/"), ...more } }));

  it("is a volume of 30 GiB on two disks of 5 GiB, with the numbers", () => {
    expect(big(30).problems).toEqual([
      "volume vg/root needs 30720 MiB, and of the 10232 MiB on the members of vg (5118 MiB, 5118 MiB) 10232 MiB can be had for it",
    ]);
    expect(big(9).problems).toEqual([]);
  });

  it.each<[string, () => ReturnType<typeof on>, RegExp]>([
    [
      "a mirror of what only one of them could hold",
      () => big(9, "raid1"),
      /needs 9216 MiB as raid1, .* 5112 MiB can be had/,
    ],
    [
      "a thin pool whose metadata its own size decides",
      () => on([4 * gib], pv, volumes({ pool: { kind: "thin-pool", size: "5GiB" } })),
      /pool needs 5120 MiB as thin-pool, .* 4076 MiB can be had/,
    ],
    [
      "a swap file as large as a root on several disks",
      () => on([6 * gib, 6 * gib], member, { pools: { p: { mount: "/" } }, swapFile: { size: "6142MiB" } }),
      /^the swap file of 6142 MiB does not fit on the root filesystem of 6142 MiB/,
    ],
    [
      "a stripe over more than there are",
      () => big(1, "striped", { over: 3 }),
      /as striped, .* 0 MiB can be had/,
    ],
    [
      "a thin pool with its metadata",
      () => on([5 * gib], pv, volumes({ pool: { kind: "thin-pool", size: "5116MiB" } })),
      /pool needs 5116 MiB as thin-pool, .* 5100 MiB can be had/,
    ],
    [
      "the second of two volumes",
      () =>
        on(
          [5 * gib],
          pv,
          volumes({ a: { size: "4GiB", content: ext4("/a") }, b: { size: "2GiB", content: ext4("/b") } }),
        ),
      /^volume vg\/b needs 2048 MiB, and of the 5116 MiB .* 1020 MiB can be had/,
    ],
    [
      "a volume behind all that there is",
      () =>
        on(
          [5 * gib],
          pv,
          volumes({ a: { size: "100%", content: ext4("/a") }, b: { size: "rest", content: ext4("/b") } }),
        ),
      /^volume vg\/b needs some room, .* 0 MiB can be had/,
    ],
    [
      "a LUKS volume in 16 MiB",
      () => on([18 * mib], luks(ext4("/x"))),
      /^16 MiB are too little for a LUKS volume/,
    ],
    [
      "a swap file larger than the root",
      () => on([5 * gib], ext4("/"), { swapFile: { size: "6GiB" } }),
      /^the swap file of 6144 MiB does not fit on the root filesystem of 5118 MiB/,
    ],
  ])("is %s", (_what, make, expected) => {
    expect(make().problems).toEqual([expect.stringMatching(expected)]);
  });

  it("is refused where the host's disks are known, and where a plan is made of declared ones", () => {
    const { storage, disks } = big(30);
    expect(() => matchDisks(storage, Object.values(disks))).toThrow(/volume vg\/root needs 30720 MiB/);
    expect(() => storageSteps(storage, disks, "s", 1)).toThrow(/volume vg\/root needs 30720 MiB/);
    expect(() => refuseMisfit(big(9).storage, big(9).disks)).not.toThrow();
  });

  const declared = (disk: object) =>
    storageProblems(
      Storage.parse({
        disks: {
          a: {
            match: { serial: "A", ...(disk as { match?: object }).match },
            table: { type: "gpt", partitions: [{ name: "all", type: "linux", size: "rest", content: pv }] },
            ...(disk as { image?: object }).image,
          },
        },
        ...volumes({ root: { size: "30GiB", content: ext4("/") } }),
      }),
    ).map(({ path, message }) => `${path.join(".")}: ${message}`);

  it("is found in the definition alone, by the size of its image or the largest disk that it may match", () => {
    const expected = [
      expect.stringMatching(/^storage\.volumeGroups\.vg\.volumes\.root: volume vg\/root needs 30720 MiB/),
    ];
    expect(declared({ image: { imageSize: "5GiB" } })).toEqual(expected);
    expect(declared({ match: { maxSize: "5GiB" } })).toEqual(expected);
  });

  it("is not looked for where no size is declared, or one that will do", () => {
    expect(declared({})).toEqual([]);
    expect(declared({ image: { imageSize: "40GiB" } })).toEqual([]);
    expect(declared({ match: { minSize: "5GiB" } })).toEqual([]);
  });
});

describe("extents of several members", () => {
  it.each([
    [[5, 3], 2, 3],
    [[5, 3, 3], 2, 5],
    [[5, 5, 5], 2, 7],
    [[9, 1, 1], 2, 2],
    [[5, 3], 3, 0],
    [[], 1, 0],
    [[4, 4], 1, 8],
  ])("%j over %s members give %s rows", (free, width, rows) => {
    expect(rowsOver(free, width)).toBe(rows);
  });

  it.each([
    [[351, 255, 191], 2, 351],
    [[5, 3], 2, 3],
    [[4, 3, 3, 2], 2, 6],
    [[5, 3], 3, 0],
  ])("%j hold %s copies of %s", (free, copies, most) => {
    expect(copiesOver(free, copies)).toBe(most);
  });

  it("are taken from those that have most, and never more than there are", () => {
    expect(takeRows([10, 4], 3, 1)).toEqual([7, 4]);
    expect(takeRows([10, 4], 4, 2)).toEqual([6, 0]);
    expect(takeRows([5, 5, 5], 7, 2).reduce((sum, one) => sum + one, 0)).toBe(1);
    expect(takeRows([2, 2], 9, 1)).toEqual([0, 0]);
    const huge = [2 ** 24, 2 ** 24, 2 ** 24];
    expect(takeRows(huge, rowsOver(huge, 2), 2).reduce((sum, one) => sum + one, 0)).toBeLessThan(2 ** 10);
  });

  it("leave whole disks to what lies on them alone", () => {
    expect(on([6 * gib], ext4("/")).mib("partition a/all") * mib).toBe(whole(6 * gib));
  });
});

describe("a filesystem that needs more than there is", () => {
  const xfs = { type: "xfs", mount: "/x" };
  const group = (size: string) => ({
    pool: { kind: "thin-pool", size: "100MiB" },
    thin: { kind: "thin", pool: "pool", size, content: xfs },
  });

  it.each<[string, () => ReturnType<typeof on>, readonly string[]]>([
    ["in LUKS", () => on([310 * mib], luks(xfs)), ["292 MiB is too small for xfs; needs 300MiB at least"]],
    [
      "in a volume",
      () => on([6 * gib], pv, volumes({ v: { size: "200MiB", content: xfs } })),
      ["200 MiB is too small for xfs; needs 300MiB at least"],
    ],
    [
      "but for a thin volume, which shows mkfs its whole size",
      () => on([6 * gib], pv, volumes(group("2GiB"))),
      [],
    ],
  ])("is refused %s", (_where, made, problems) => {
    expect(made().problems).toEqual(problems);
  });
});
