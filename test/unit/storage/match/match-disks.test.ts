import { describe, expect, it } from "vitest";
import type { DiskFacts } from "../../../../src/schema/facts.ts";
import { Storage } from "../../../../src/schema/storage.ts";
import { matchDisks, showDisk } from "../../../../src/storage/match/match-disks.ts";
import {
  diskFacts,
  esp,
  keptDisk,
  keptUuid,
  mib,
  root,
  storageOf,
} from "../../../helpers/builders/storage.ts";

const system = diskFacts("vda", { serial: "SYS" });
const data = diskFacts("vdb", {
  serial: "DATA",
  partitions: [
    { name: "vdb1", startBytes: mib, sizeBytes: 100 * mib, fsType: "ext4", uuid: keptUuid, mountPoints: [] },
  ],
});
const both = storageOf([esp, root], { disks: { data: keptDisk } });
const withMatch = (match: object) =>
  Storage.parse({ disks: { system: { match, table: { type: "gpt", partitions: [root] } } } });

const hintOf = (storage: Storage, disks: readonly DiskFacts[]) => {
  try {
    matchDisks(storage, disks);
    return undefined;
  } catch (error) {
    return (error as { hint?: string }).hint;
  }
};

describe("matchDisks", () => {
  it("finds each disk of the definition", () => {
    expect(matchDisks(both, [data, system])).toEqual({ system, data });
  });

  it("F31: follows the serial when kernel names are swapped", () => {
    const swapped = [
      { ...system, name: "vdb" },
      { ...data, name: "vda" },
    ];
    expect(matchDisks(both, swapped).system?.name).toBe("vdb");
  });

  it("needs every property given, and does not mind spaces around a serial", () => {
    const match = { serial: "SYS", wwn: "eui.1", model: "M", minSize: "1GiB", maxSize: "4GiB" };
    const full = { ...system, serial: " SYS ", wwn: "eui.1", model: "M " };
    expect(matchDisks(withMatch(match), [full])).toEqual({ system: full });
    for (const change of [
      { serial: "X" },
      { wwn: "eui.2" },
      { model: "N" },
      { sizeBytes: 5 * 2 ** 30 },
      { sizeBytes: 512 * mib },
    ])
      expect(() => matchDisks(withMatch(match), [{ ...full, ...change }])).toThrow(
        /no disk of the machine matches/,
      );
    const { wwn: _wwn, ...noWwn } = full;
    expect(() => matchDisks(withMatch(match), [noWwn])).toThrow(/no disk of the machine matches/);
  });

  it.each<[string, Storage, readonly DiskFacts[], RegExp]>([
    ["no disks at all", both, [], /no disk of the machine matches disk system \(serial SYS\)/],
    [
      "two disks of one serial",
      both,
      [system, { ...system, name: "vdc", sizeBytes: 8192 * mib }, data],
      /2 disks match disk system/,
    ],
    [
      "two names for one disk",
      Storage.parse({ disks: { system: both.disks.system, again: both.disks.system } }),
      [system],
      /system and again of the definition are the same disk/,
    ],
    ["a read-only disk", both, [{ ...system, readOnly: true }, data], /disk system is read-only/],
    [
      "a disk too small for its layout",
      both,
      [{ ...system, sizeBytes: 200 * mib }, data],
      /disk system of 200 MiB is too small/,
    ],
    [
      "a disk to write that carries what is kept",
      both,
      [
        { ...system, partitions: data.partitions.map((one) => ({ ...one, uuid: keptUuid.toUpperCase() })) },
        data,
      ],
      /would be written, but carries the filesystem/,
    ],
    [
      "a disk to write that is as a whole what is kept",
      both,
      [{ ...system, fsType: "ext4", uuid: keptUuid }, data],
      /would be written, but carries the filesystem/,
    ],
    [
      "a kept disk without its filesystem",
      both,
      [system, { ...data, partitions: [] }],
      /has no filesystem with the UUID/,
    ],
    [
      "a kept filesystem of another type",
      both,
      [system, { ...data, partitions: [{ ...data.partitions[0]!, fsType: "xfs" }] }],
      /is xfs, not ext4/,
    ],
  ])("refuses %s", (_name, storage, disks, message) => {
    expect(() => matchDisks(storage, disks)).toThrow(message);
  });

  it("does not mind spaces around a serial of the definition", () => {
    expect(matchDisks(withMatch({ serial: " SYS " }), [system]).system).toBe(system);
  });

  it("finds a kept disk by its table, and passes over disks of which less is known", () => {
    const known = { ...data, tableUuid: "AB12CD34", byId: ["ata-D"], byPath: ["pci-1"] };
    for (const match of [{ tableUuid: "ab12cd34" }, { byId: "ata-D" }, { path: "pci-1" }]) {
      const storage = storageOf([esp, root], { disks: { data: { ...keptDisk, match } } });
      expect(matchDisks(storage, [system, known]).data).toBe(known);
      expect(() => matchDisks(storage, [system, data])).toThrow(/no disk of the machine matches disk data/);
    }
  });

  it("finds a kept filesystem on a disk without a table", () => {
    const whole = diskFacts("vdb", { serial: "DATA", fsType: "ext4", uuid: keptUuid });
    expect(matchDisks(both, [system, whole]).data).toBe(whole);
  });

  it("shows what a kept disk has when its filesystem is not on it", () => {
    const parts = [{ fsType: "xfs", uuid: "u-1" }, { fsType: "swap" }, {}].map((held, index) => ({
      ...{ name: `vdb${index}`, startBytes: mib, sizeBytes: mib, mountPoints: [], ...held },
    }));
    expect(hintOf(both, [system, { ...data, partitions: parts }])).toBe(
      "it has vdb0: xfs u-1; vdb1: swap without UUID",
    );
    expect(hintOf(both, [system, { ...data, partitions: [] }])).toBe("no known filesystem was seen on it");
  });

  it("shows sizes in MiB, and a machine without disks as one", () => {
    expect(() => matchDisks(withMatch({ serial: "X", minSize: "1GiB" }), [])).toThrow(
      "no disk of the machine matches disk system (serial X, minSize 1024 MiB)",
    );
    expect(hintOf(withMatch({ serial: "X" }), [])).toBe("the machine has no disks");
    const bare = [diskFacts("vda"), diskFacts("vdb")];
    expect(hintOf(withMatch({ serial: "X" }), bare)).toBe(
      "the machine has no serial, 4096 MiB (vda); no serial, 4096 MiB (vdb)",
    );
  });

  it("F32: refuses a disk that the base could not tell from its twin", () => {
    const wanted = withMatch({ serial: "SYS", maxSize: "4GiB" });
    expect(() => matchDisks(wanted, [system, { ...system, name: "vdc" }])).toThrow(
      /2 disks match|told apart/,
    );
  });

  it("F33: stops on another machine, though its disks are of the same model and size", () => {
    const here = withMatch({ serial: "HERE", model: "M" });
    expect(() => matchDisks(here, [{ ...system, serial: "THERE", model: "M" }])).toThrow(
      /no disk of the machine matches disk system \(serial HERE, model M\)/,
    );
  });

  it("shows what the machine has when nothing matches, and how to say which is meant", () => {
    try {
      matchDisks(withMatch({ serial: "OTHER" }), [system, data]);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({
        hint: 'the machine has serial SYS, 4096 MiB (vda), `match: { serial: "SYS" }`; serial DATA, 4096 MiB (vdb), `match: { serial: "DATA" }`',
      });
    }
  });
});

describe("showDisk", () => {
  it("names all by which a person knows a disk", () => {
    const disk = diskFacts("sda", { model: "QEMU HARDDISK ", wwn: "naa.5", removable: true, readOnly: true });
    expect(showDisk(disk)).toBe("QEMU HARDDISK, no serial, wwn naa.5, 4096 MiB, removable, read-only (sda)");
  });
});

describe("F32: disks without a serial", () => {
  const bare = diskFacts("sda", { byPath: ["pci-0000:00:05.0-ata-1"], byId: ["ata-X_1"], tableUuid: "AB-1" });
  const twin = {
    ...bare,
    name: "sdb",
    byPath: ["pci-0000:00:05.0-ata-2"],
    byId: ["ata-X_2"],
    tableUuid: "ab12cd34",
  };

  it("are told apart by their port, by a name of udev's, or by their table", () => {
    for (const match of [{ path: "pci-0000:00:05.0-ata-2" }, { byId: "ata-X_2" }, { tableUuid: "ab12cd34" }])
      expect(matchDisks(withMatch(match), [bare, twin])).toEqual({ system: twin });
  });

  it("are found again by a WWN alone", () => {
    const disk = diskFacts("sda", { wwn: "naa.1" });
    expect(matchDisks(withMatch({ wwn: "naa.1" }), [disk]).system).toBe(disk);
  });

  it("are refused where the base could not find them again", () => {
    const { byPath: _path, ...lost } = twin;
    expect(() => matchDisks(withMatch({ byId: "ata-X_2" }), [bare, lost])).toThrow(
      /has neither serial nor wwn nor a path to be found by again/,
    );
    expect(() =>
      matchDisks(withMatch({ byId: "ata-X_2" }), [bare, { ...twin, byPath: bare.byPath! }]),
    ).toThrow(/cannot be told apart/);
  });
});

describe("disks that are alike", () => {
  const at = (path: string) => withMatch({ path });
  const one = diskFacts("sda", { serial: "S", wwn: "naa.1", model: "M", byPath: ["pci-1"] });
  const other = { ...one, name: "sdb", byPath: ["pci-2"] };

  it.each<[string, Partial<DiskFacts>]>([
    ["serial", { serial: "T" }],
    ["WWN", { wwn: "naa.2" }],
    ["model", { model: "N" }],
    ["size", { sizeBytes: 8192 * mib }],
  ])("are two where the %s differs", (what, change) => {
    // Without a WWN in common they are not two paths to one disk either.
    const [a, b] =
      what === "serial" || what === "size" ? [one, other] : [one, other].map(({ wwn: _, ...rest }) => rest);
    const disks = [a!, { ...b!, ...change }];
    expect(matchDisks(at("pci-2"), disks).system).toBe(disks[1]);
    expect(matchDisks(at("pci-1"), disks).system).toBe(disks[0]);
  });

  it("are refused as twins where serial, model and size are the same, whatever their ports", () => {
    const [a, b] = [one, other].map(({ wwn: _, ...rest }) => rest);
    expect(() => matchDisks(at("pci-1"), [a!, b!])).toThrow(
      "disk system cannot be told apart from another one: M, serial S, 4096 MiB (sda); M, serial S, 4096 MiB (sdb)",
    );
  });

  it("are two where they have nothing of their own and another port, or none", () => {
    const bare = diskFacts("sda", { byPath: ["pci-1"] });
    const disks = [bare, diskFacts("sdb", { byPath: ["pci-2"] }), diskFacts("sdc")];
    expect(matchDisks(at("pci-1"), disks).system).toBe(bare);
  });

  it("are paths to one disk where a multipath map holds them, known by a WWN or not", () => {
    const held = [one, other].map(({ wwn: _, ...rest }) => ({ ...rest, multipath: "mpatha" }));
    expect(() => matchDisks(at("pci-1"), held)).toThrow(/sda, sdb are held by the multipath map mpatha/);
    const apart = diskFacts("sdc", { serial: "T", byPath: ["pci-3"] });
    expect(matchDisks(at("pci-1"), [held[0]!, apart]).system).toBe(held[0]);
  });
});

describe("F34: what a disk to be written is part of", () => {
  const member = (disk: DiskFacts, held: Partial<DiskFacts["partitions"][number]>): DiskFacts => ({
    ...disk,
    partitions: [{ name: `${disk.name}1`, startBytes: mib, sizeBytes: mib, mountPoints: [], ...held }],
  });
  const only = storageOf([esp, root]);
  const other = diskFacts("vdc", { serial: "OTHER" });

  it.each<[string, Partial<DiskFacts["partitions"][number]>]>([
    ["an md array", { fsType: "linux_raid_member", uuid: "u" }],
    ["a btrfs", { fsType: "btrfs", uuid: "u" }],
    ["a ZFS pool", { fsType: "zfs_member", uuid: "u" }],
    ["a volume group", { fsType: "LVM2_member", uuid: "p", group: "vg (u)" }],
  ])("is a refusal where %s has another part elsewhere", (_name, held) => {
    expect(() => matchDisks(only, [member(system, held), member(other, held)])).toThrow(
      /vda1 of a disk that would be written is part of .* vdc1, which is not in the plan/,
    );
    expect(matchDisks(only, [member(system, held), other]).system?.name).toBe("vda");
  });

  it("is a refusal where it is a part as a whole, without a table", () => {
    const whole = { fsType: "LVM2_member", uuid: "p", group: "vg (u)" };
    expect(() => matchDisks(only, [member(system, whole), { ...other, ...whole }])).toThrow(
      /vda1 of a disk that would be written is part of the volume group vg \(u\), and so is vdc, which/,
    );
  });

  it("is a refusal where something unknown is stacked on it and another", () => {
    const stacked = [
      { ...system, holders: ["dm-3"] },
      { ...other, holders: ["dm-3"] },
    ];
    expect(() => matchDisks(only, stacked)).toThrow(/dm-3 lies on vda, which would be written, and on vdc/);
  });
});

describe("F36: a kept partition", () => {
  const keep = { uuid: keptUuid };
  const storage = storageOf([
    { ...root, size: "1GiB" },
    { name: "home", type: "linux", content: { type: "ext4", mount: "/home", keep } },
  ]);
  const has = (fsType: string) => ({
    ...system,
    partitions: [
      { name: "vda2", startBytes: 2048 * mib, sizeBytes: 100 * mib, fsType, uuid: keptUuid, mountPoints: [] },
    ],
  });

  it("is found among others, some of which nothing is known of", () => {
    const disk = has("ext4");
    const [kept] = disk.partitions;
    const { fsType: _type, uuid: _uuid, ...blank } = kept!;
    const first = { ...kept!, name: "vda1", startBytes: mib, uuid: "x", fsType: "swap" };
    const partitions = [{ ...blank, name: "vda3", startBytes: mib }, first, kept!];
    expect(matchDisks(storage, [{ ...disk, partitions }]).system?.name).toBe("vda");
    expect(() => matchDisks(storage, [{ ...disk, partitions: [{ ...blank, uuid: keptUuid }] }])).toThrow(
      /is kept as ext4, but .* is unknown/,
    );
  });

  it("is found on the disk that is written around it", () => {
    expect(matchDisks(storage, [has("ext4")]).system?.name).toBe("vda");
  });

  it("is a refusal when it is of another type, or missing", () => {
    expect(() => matchDisks(storage, [has("xfs")])).toThrow(
      /home of disk system is kept as ext4, but .* is xfs/,
    );
    expect(() => matchDisks(storage, [system])).toThrow(/no partition has the UUID/);
  });
});
