import { describe, expect, it } from "vitest";
import type { WrittenDisk } from "../../../../src/schema/storage.ts";
import { diskUuid, mbrId, partitionUuid } from "../../../../src/storage/graph/ids.ts";
import { layoutOf, sfdiskScript, usableEnd } from "../../../../src/storage/table/gpt.ts";
import { bios, esp, mib, root, storageOf } from "../../../helpers/builders/storage.ts";

const ids = { seed: "s", name: "system" };

function layout(partitions: readonly object[], sizeBytes = 4096 * mib, sectorSize = 512) {
  return layoutOf(storageOf(partitions).disks.system as WrittenDisk, sizeBytes, sectorSize, ids);
}

describe("layoutOf", () => {
  it("lays partitions from 1 MiB on, in order, the last one to the end", () => {
    const { partitions, ...disk } = layout([bios, esp, root]);
    expect(disk).toEqual({
      disk: "system",
      table: "gpt",
      diskUuid: diskUuid("s", "system"),
      sizeBytes: 4096 * mib,
      sectorSize: 512,
    });
    expect(
      partitions.map(({ number, name, startBytes, sizeBytes }) => [
        number,
        name,
        startBytes / mib,
        sizeBytes / mib,
      ]),
    ).toEqual([
      [1, "bios", 1, 1],
      [2, "esp", 2, 256],
      [3, "root", 258, 4095 - 258],
    ]);
    expect(partitions[2]!.partUuid).toBe(partitionUuid("s", "system", "root"));
  });

  it("ends before the backup table, on disks of any size and both sector sizes", () => {
    for (const sectorSize of [512, 4096])
      for (const sizeBytes of [
        4096 * mib,
        4096 * mib - 4096,
        4096 * mib + 20_480,
        5_000_000_000 - (5_000_000_000 % 4096),
      ]) {
        const last = layout(
          [esp, root].map((one) => (one === esp ? { ...esp, size: "300MiB" } : one)),
          sizeBytes,
          sectorSize,
        ).partitions.at(-1)!;
        const backup = 128 * 128 + sectorSize;
        expect(last.startBytes + last.sizeBytes).toBeLessThanOrEqual(sizeBytes - backup);
        expect(last.startBytes + last.sizeBytes).toBe(usableEnd(sizeBytes, sectorSize, "gpt"));
        expect(last.sizeBytes % mib).toBe(0);
      }
  });

  it("uses a MiB to its last byte where the backup table begins at once after it", () => {
    for (const [sectorSize, backup] of [
      [512, 33 * 512],
      [4096, 5 * 4096],
    ] as const) {
      expect(usableEnd(10 * mib + backup, sectorSize, "gpt")).toBe(10 * mib);
      expect(usableEnd(10 * mib + backup - sectorSize, sectorSize, "gpt")).toBe(9 * mib);
    }
  });

  it("takes a FAT of the least whole MiB, and none that is smaller", () => {
    for (const [sectorSize, least] of [
      [512, 34],
      [4096, 258],
    ] as const) {
      const of = (size: number) => () => layout([{ ...esp, size: `${size}MiB` }], 4096 * mib, sectorSize);
      expect(of(least)().partitions[0]!.sizeBytes).toBe(least * mib);
      expect(of(least - 1)).toThrow(/is too small for vfat on disk system/);
    }
  });

  it("fills a disk to the last usable MiB and not one more", () => {
    const of = (size: string) => [{ ...root, size }];
    expect(layout(of("98MiB"), 100 * mib).partitions[0]!.sizeBytes).toBe(98 * mib);
    expect(() => layout(of("99MiB"), 100 * mib)).toThrow(
      "disk system of 100 MiB is too small: partition root does not fit; the layout needs 100 MiB and partitions can use 99 MiB",
    );
  });

  it.each<[string, readonly object[], number, number, RegExp]>([
    ["rest before the end", [root, esp], 4096 * mib, 512, /root .* is not the last one/],
    ["no room for the rest", [esp, root], 257 * mib, 512, /partition esp does not fit|root does not fit/],
    ["a disk of nothing", [root], 0, 512, /too small/],
    ["sectors of 520 bytes", [root], 4096 * mib, 520, /sectors of 520 bytes/],
    ["bios-boot on 4096-byte sectors", [bios, root], 4096 * mib, 4096, /BIOS firmware cannot start/],
    ["an ESP too small for FAT32", [{ ...esp, size: "32MiB" }, root], 4096 * mib, 512, /too small for vfat/],
    ["an ESP too small for FAT32 there", [esp, root], 4096 * mib, 4096, /too small for vfat/],
  ])("refuses %s", (_name, partitions, sizeBytes, sectorSize, message) => {
    expect(() => layout(partitions, sizeBytes, sectorSize)).toThrow(message);
  });
});

describe("sfdiskScript", () => {
  it("says everything, in sectors", () => {
    const upper = (uuid: string) => uuid.toUpperCase();
    expect(sfdiskScript(layout([bios, esp, root]))).toBe(
      [
        "label: gpt",
        `label-id: ${upper(diskUuid("s", "system"))}`,
        "unit: sectors",
        "first-lba: 2048",
        "sector-size: 512",
        "",
        `1 : start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, uuid=${upper(partitionUuid("s", "system", "bios"))}, name="bios"`,
        `2 : start=4096, size=524288, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=${upper(partitionUuid("s", "system", "esp"))}, name="esp"`,
        `3 : start=528384, size=${(4095 - 258) * 2048}, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=${upper(partitionUuid("s", "system", "root"))}, name="root"`,
        "",
      ].join("\n"),
    );
  });

  it("counts in the disk's own sectors", () => {
    const text = sfdiskScript(layout([root], 4096 * mib, 4096));
    expect(text).toContain("first-lba: 256\nsector-size: 4096\n");
    expect(text).toContain(`1 : start=256, size=${4094 * 256},`);
  });
});

const keptId = "6d1f1f0a-52a5-4f0e-9c1b-0b5e6f7a8c9d";
const home = {
  ...{ name: "home", type: "linux-home" },
  content: { type: "ext4", mount: "/home", keep: { uuid: keptId } },
};
const seen = (startMib: number, sizeMib: number) => ({
  ...{ name: "vda5", startBytes: startMib * mib, sizeBytes: sizeMib * mib, mountPoints: [] },
  ...{ fsType: "ext4", uuid: keptId.toUpperCase(), partUuid: "0d7b0a4c-0000-4000-8000-000000000001" },
});
const around = (partitions: readonly object[], existing: readonly ReturnType<typeof seen>[] | undefined) =>
  layoutOf(storageOf(partitions).disks.system as WrittenDisk, 4096 * mib, 512, ids, existing);
const places = (made: ReturnType<typeof layoutOf>) =>
  made.partitions.map(({ name, startBytes, sizeBytes, kept }) => [
    name,
    startBytes / mib,
    sizeBytes / mib,
    kept,
  ]);

describe("F36: a kept partition", () => {
  it("stays where it is, with its own identifier, and the others go around it", () => {
    const made = around(
      [{ ...esp, size: "200MiB" }, root, home, { ...root, name: "more" }],
      [seen(1000, 500)],
    );
    expect(places(made)).toEqual([
      ["esp", 1, 200, false],
      ["root", 201, 799, false],
      ["home", 1000, 500, true],
      ["more", 1500, 4095 - 1500, false],
    ]);
    expect(made.partitions[2]).toMatchObject({ number: 3, partUuid: "0d7b0a4c-0000-4000-8000-000000000001" });
    expect(sfdiskScript(made)).toContain(
      `3 : start=${1000 * 2048}, size=${500 * 2048}, type=933AC7E1-2EB4-4F13-B844-0E14E2AEF915, uuid=0D7B0A4C-0000-4000-8000-000000000001, name="home"`,
    );
  });

  it("may begin anywhere; what lies before it ends at a whole MiB", () => {
    const odd = { ...seen(1000, 500), startBytes: 1000 * mib + 512 * 63 };
    expect(places(around([root, home], [odd]))[0]).toEqual(["root", 1, 999, false]);
  });

  it("keeps its size where the definition says one, or only bounds", () => {
    for (const size of ["500MiB", { min: "1MiB" }])
      expect(places(around([{ ...home, size }], [seen(1000, 500)]))).toEqual([["home", 1000, 500, true]]);
    const sized = { ...home.content, keep: { uuid: keptId, size: "500MiB" } };
    expect(places(around([{ ...home, content: sized }], [seen(1000, 500)]))[0]![2]).toBe(500);
    expect(() => around([{ ...home, content: sized }], [seen(1000, 501)])).toThrow(
      /should have 524288000 bytes/,
    );
  });

  it("may begin with the first MiB and end with the disk, and lie at once after another", () => {
    const other = "7d1f1f0a-52a5-4f0e-9c1b-0b5e6f7a8c9d";
    const second = {
      ...home,
      name: "second",
      content: { ...home.content, mount: "/x", keep: { uuid: other } },
    };
    expect(places(around([home, second], [seen(1, 500), { ...seen(501, 4096 - 501), uuid: other }]))).toEqual(
      [
        ["home", 1, 500, true],
        ["second", 501, 4096 - 501, true],
      ],
    );
  });

  it("is named first and lies first, with others after it", () => {
    expect(
      places(around([home, { ...root, size: "100MiB" }, { ...root, name: "more" }], [seen(1, 10)])),
    ).toEqual([
      ["home", 1, 10, true],
      ["root", 11, 100, false],
      ["more", 111, 4095 - 111, false],
    ]);
  });

  it.each<[string, readonly object[], readonly ReturnType<typeof seen>[] | undefined, RegExp]>([
    ["is not there", [root, home], [{ ...seen(1000, 500), uuid: "other" }], /no partition has the UUID 6d1f/],
    ["cannot be there, as in an image", [root, home], undefined, /no partition has the UUID/],
    [
      "leaves no room before it",
      [{ ...root, size: "1GiB" }, home],
      [seen(1000, 500)],
      /does not fit before what is kept/,
    ],
    [
      "leaves no room behind it",
      [home, { ...root, size: "3GiB" }],
      [seen(1500, 500)],
      /too small: partition root/,
    ],
    [
      "lies before what is named before it",
      [
        home,
        {
          ...home,
          name: "second",
          content: { ...home.content, mount: "/x", keep: { uuid: "7d1f1f0a-52a5-4f0e-9c1b-0b5e6f7a8c9d" } },
        },
      ],
      [seen(1500, 500), { ...seen(100, 50), uuid: "7d1f1f0a-52a5-4f0e-9c1b-0b5e6f7a8c9d" }],
      /lies before what the definition names before it/,
    ],
    [
      "ends where no disk is any more",
      [root, home],
      [seen(4000, 500)],
      /ends at 4500 MiB; the disk ends at 4096/,
    ],
    [
      "has another size",
      [root, { ...home, size: "499MiB" }],
      [seen(1000, 500)],
      /should have 523239424 bytes; it has 524288000/,
    ],
  ])("is a refusal when it %s", (_name, partitions, existing, message) => {
    expect(() => around(partitions, existing)).toThrow(message);
  });
});

describe("sizes that depend on the disk", () => {
  const linux = (name: string, more: object) => ({ name, type: "linux", ...more });

  it("are shares of what is usable, and what lies between bounds, all alike", () => {
    const parts = [
      linux("tenth", { size: "10%" }),
      linux("small", { size: { min: "100MiB", max: "300MiB" } }),
      linux("big", { size: { min: "100MiB" } }),
      linux("rest", { size: "rest" }),
    ];
    expect(places(layout(parts)).map(([, , size]) => size)).toEqual([409, 300, 1742, 1643]);
    expect(places(layout(parts, 16_384 * mib)).map(([, , size]) => size)).toEqual([1638, 300, 7272, 7172]);
  });

  it("begin at the multiple that is asked for", () => {
    const [, second] = layout([
      linux("a", { size: "1MiB" }),
      linux("b", { size: "8MiB", align: "4MiB" }),
    ]).partitions;
    expect(second).toMatchObject({ startBytes: 4 * mib, sizeBytes: 8 * mib });
  });

  it("are shares of what lies between the tables", () => {
    expect(places(layout([linux("half", { size: "50%" })]))).toEqual([["half", 1, 2047, false]]);
    expect(() => layout([linux("none", { size: "1%" })], 50 * mib)).toThrow(/partition none does not fit/);
  });

  it("leave what alignment may cost", () => {
    const parts = [linux("a", { size: "1MiB" }), linux("b", { size: "rest", align: "64MiB" })];
    expect(places(layout(parts, 100 * mib))).toEqual([
      ["a", 1, 1, false],
      ["b", 64, 34, false],
    ]);
  });

  it("are refused when even the least does not fit, which the message counts", () => {
    expect(() => layout([linux("a", { size: { min: "3GiB" } }), linux("b", { size: "2GiB" })])).toThrow(
      `the layout needs ${1 + 3072 + 2048} MiB and partitions can use 4095 MiB`,
    );
    const parts = [{ size: "50%" }, { size: { max: "1GiB" } }, { size: "5GiB" }, { size: "rest" }];
    expect(() => layout(parts.map((one, index) => linux(`p${index}`, one)))).toThrow(
      `the layout needs ${1 + 1 + 1 + 5120 + 1} MiB`,
    );
  });
});

describe("an MBR", () => {
  const disk = (partitions: readonly object[]) =>
    ({ ...storageOf([root]).disks.system, table: { type: "mbr", partitions } }) as WrittenDisk;
  const parts = [
    { name: "swap", type: "linux-swap", size: 64 * mib, content: { type: "swap", discard: false } },
    { ...root, active: true },
  ];

  it("has an identifier, types of two digits, and an active partition", () => {
    const made = layoutOf(disk(parts), 4096 * mib, 512, ids);
    expect(sfdiskScript(made)).toBe(
      [
        ...["label: dos", `label-id: 0x${mbrId("s", "system")}`, "unit: sectors", "sector-size: 512", ""],
        "1 : start=2048, size=131072, type=82",
        `2 : start=${65 * 2048}, size=${(4096 - 65) * 2048}, type=83, bootable`,
        "",
      ].join("\n"),
    );
    expect(made.partitions[1]!.partUuid).toBe(`${mbrId("s", "system")}-02`);
  });

  it("ends where 32 bits of sectors end", () => {
    const large = layoutOf(disk(parts), 4 * 2 ** 40, 512, ids).partitions.at(-1)!;
    expect(large.startBytes + large.sizeBytes).toBe(2 * 2 ** 40);
  });
});

describe("a GPT", () => {
  it("has attributes, and types of one's own", () => {
    const typeGuid = "3b8f8425-20e0-4f3b-907f-1a25a76f98e9";
    const text = sfdiskScript(
      layout([{ ...root, typeGuid, attributes: ["required", "grow-fs", "read-only"] }]),
    );
    expect(text).toContain(`type=${typeGuid.toUpperCase()}`);
    expect(text).toContain('attrs="RequiredPartition GUID:59 GUID:60"');
  });
});
