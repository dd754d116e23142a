import { describe, expect, it } from "vitest";
import { DiskMatch, Storage } from "../../../../src/schema/storage.ts";
import { matchDisks } from "../../../../src/storage/match/match-disks.ts";
import {
  isOwnMatch,
  isOwnSerial,
  isOwnWwn,
  suggestedMatch,
} from "../../../../src/storage/table/disk-names.ts";
import { diskFacts, root } from "../../../helpers/builders/storage.ts";
import {
  digitalOcean,
  disksOf,
  dmMultipath,
  hetznerCloud,
  twoPaths,
} from "../../../helpers/fakes/probed-disks.ts";

const withMatch = (match: object) =>
  Storage.parse({ disks: { system: { match, table: { type: "gpt", partitions: [root] } } } });
/** The object of a hint's `match: { … }`. */
const parsed = (text: string | undefined) =>
  DiskMatch.parse(new Function(`return (${text?.replace(/^match: /, "")})`)());
const problemOf = (storage: Storage, disks: ReturnType<typeof disksOf>) => {
  try {
    matchDisks(storage, disks);
    return {};
  } catch (error) {
    return error as { message?: string; hint?: string };
  }
};

describe("suggestedMatch", () => {
  const whole = diskFacts("sda", { serial: "S3Z8NB0K", byPath: ["pci-1"], wwn: "naa.5002538e40a1b2c3" });
  it.each([
    ["its serial, before all else", whole, [whole], 'match: { serial: "S3Z8NB0K" }'],
    [
      "its WWN where another has the serial too",
      whole,
      [whole, { ...whole, name: "sdb", wwn: "naa.5002538e40a1b2c4" }],
      'match: { wwn: "naa.5002538e40a1b2c3" }',
    ],
    [
      "its port and size where it has no more",
      disksOf(digitalOcean)[0]!,
      disksOf(digitalOcean),
      'match: { path: "pci-0000:00:06.0", minSize: "25600MiB", maxSize: "25600MiB" }',
    ],
    [
      "its port where the serial is that of a slot",
      disksOf(hetznerCloud)[0]!,
      disksOf(hetznerCloud),
      'match: { path: "pci-0000:06:00.0-scsi-0:0:0:0", minSize: "39064MiB", maxSize: "39064MiB" }',
    ],
    [
      "its table where there is no udev",
      diskFacts("vda", { tableUuid: "AB12CD34" }),
      [diskFacts("vda", { tableUuid: "AB12CD34" }), diskFacts("vdb")],
      'match: { tableUuid: "ab12cd34", minSize: "4096MiB", maxSize: "4096MiB" }',
    ],
    [
      "nothing where nothing tells it apart",
      diskFacts("vda"),
      [diskFacts("vda"), diskFacts("vdb")],
      undefined,
    ],
  ])("names a disk by %s", (_how, disk, disks, expected) => {
    expect(suggestedMatch(disk, disks)).toBe(expected);
  });

  it.each([
    ["a droplet", digitalOcean],
    ["a cloud server with QEMU's serials", hetznerCloud],
  ])("says in a refusal what finds the disk of %s", (_name, sections) => {
    const disks = disksOf(sections);
    const { message, hint } = problemOf(withMatch({ serial: "CHANGE-ME" }), disks);
    expect(message).toBe("no disk of the machine matches disk system (serial CHANGE-ME)");
    const [offered] = /match: \{[^}]*\}/.exec(hint ?? "") ?? [];
    expect(matchDisks(withMatch(parsed(offered)), disks).system).toBe(disks[0]);
  });
});

describe("isOwnMatch", () => {
  it.each<[string, boolean]>([
    ["S3Z8NB0K", true],
    ["vol0a1b2c3d4e5f60718", true],
    ["IMGBUILD-SYSTEM", true],
    ["drive-scsi0-0-0-0", false],
    ["QM00001", false],
    ["persistent-disk-0", false],
    ["0000000000000000", false],
    ["00000000000000000001", false],
    ["0123456789ABCDEF", false],
    ["1", false],
    ["", false],
    ["AB1", false],
    ["AB12", true],
    [" AB1 ", false],
    ["aaaa", false],
    ["0000000000000042", false],
    ["0000000000001042", true],
    ["cdef", true],
    ["S-0000-0000", true],
    ["0000-0000", false],
    ["sda", false],
    ["QM000011", true],
  ])("takes the serial %s for a disk's own: %s", (serial, own) => {
    expect(isOwnSerial(serial)).toBe(own);
  });

  it.each<[string, boolean]>([
    ["naa.5002538e40a1b2c3", true],
    ["eui.0025388b710116a1", true],
    ["eui.0000000000000000", false],
    ["t10.ATA     QEMU HARDDISK                           QM00001", false],
    ["t10.ATA     Samsung SSD 860 S3Z8NB0K", true],
    [`nvme.1b36-${Buffer.from("QM00001").toString("hex")}-51454d55-00000001`, false],
    [`nvme.1d0f-${Buffer.from("vol0a1b2c3d").toString("hex")}-416d617a-00000001`, true],
    [" naa.0000000000000000 ", false],
    ["0x0000000000000000", false],
    ["uuid.00000000-0000-0000-0000-000000000000", false],
    ["eui.0000naa.0000", true],
    ["00000x00", true],
    ["eui.t10.QM00001", true],
    [`x-nvme.1b36-${Buffer.from("QM00001").toString("hex")}-51454d55-00000001`, true],
    [`nvme.1b36-${Buffer.from("QM00001").toString("hex")}-51454d55-00000001x`, true],
  ])("takes the WWN %s for a disk's own: %s", (wwn, own) => {
    expect(isOwnWwn(wwn)).toBe(own);
  });

  it("counts a name in by-id for what it is made of, and neither port, table, model nor size", () => {
    const disk = diskFacts("sda", { serial: "S3Z8NB0K", wwn: "naa.5002538e40a1b2c3" });
    const is = (match: object) => isOwnMatch(DiskMatch.parse(match), disk);
    for (const byId of ["wwn-0x5002538e40a1b2c3", "ata-Samsung_SSD_S3Z8NB0K", "nvme-eui.0025388b710116a1"])
      expect(is({ byId })).toBe(true);
    for (const byId of ["scsi-0DO_Volume_data", "wwn-0x0000000000000000", "virtio-1"])
      expect(is({ byId })).toBe(false);
    for (const match of [
      { path: "pci-1" },
      { tableUuid: "ab12cd34" },
      { path: "x", model: "M", minSize: "1GiB" },
    ])
      expect(is(match)).toBe(false);
  });
});

describe("isOwnMatch by a name in by-id", () => {
  const byId = (name: string, serial?: string) =>
    isOwnMatch(DiskMatch.parse({ byId: name }), diskFacts("sda", serial === undefined ? {} : { serial }));

  it("reads a serial as udev writes it, with each space one underscore, and all of it", () => {
    expect(byId("ata-M_S3Z8_NB0K", " S3Z8  NB0K ")).toBe(true);
    expect(byId("ata-M_QM00001", "QM00001")).toBe(false);
    expect(byId("ata-M_S3Z8NB0K-part", "S3Z8NB0K")).toBe(false);
    expect(byId("ata-M_S3Z8NB0K")).toBe(false);
  });

  it("takes the serial and WWN of a match for what they are", () => {
    const of = (match: object) => isOwnMatch(DiskMatch.parse(match), diskFacts("sda"));
    expect([of({ serial: "S3Z8NB0K" }), of({ serial: "QM00001" })]).toEqual([true, false]);
    expect([of({ wwn: "naa.5002538e40a1b2c3" }), of({ wwn: "eui.0000000000000000" })]).toEqual([true, false]);
    expect(of({ serial: "QM00001", wwn: "naa.5002538e40a1b2c3" })).toBe(true);
    expect(byId("x-wwn-0x5002538e40a1b2c3")).toBe(false);
    expect(byId("wwn-0x0000nvme-eui.0000")).toBe(true);
  });
});

describe("suggestedMatch where less is known", () => {
  const suggested = (disk: object, ...others: object[]) => {
    const [first, ...rest] = [disk, ...others].map((one, index) => diskFacts(`sd${index}`, one));
    return suggestedMatch(first!, [first!, ...rest]);
  };

  it("passes over what another disk has too, with spaces or without, in any of its names", () => {
    expect(suggested({ byPath: ["pci-1"], byId: ["ata-1"] }, { byPath: ["pci-0", "pci-1"] })).toBe(
      'match: { byId: "ata-1" }',
    );
    expect(suggested({ serial: "QM00001 ", wwn: "w" }, { serial: " QM00001" })).toBe('match: { wwn: "w" }');
    expect(suggested({ serial: " QM00001 " }, { serial: "QM00002" })).toBe('match: { serial: "QM00001" }');
    expect(suggested({ byId: ["ata-1"] }, { byId: ["ata-1", "wwn-1"] })).toBeUndefined();
    expect(suggested({ wwn: "w" }, { wwn: "w" })).toBeUndefined();
    const wwn = "naa.5002538e40a1b2c3";
    expect(suggested({ wwn, byPath: ["pci-1"] })).toBe(`match: { wwn: "${wwn}" }`);
    expect(suggested({ wwn, byId: ["x"] }, { wwn })).toBe('match: { byId: "x" }');
    expect(suggested({ tableUuid: "AB12CD34" }, { tableUuid: "ab12cd34" })).toBeUndefined();
    expect(suggested({ serial: "QM00001" }, { serial: "QM00001" })).toBeUndefined();
  });

  it("names only what a definition can say", () => {
    expect(suggested({ byPath: ["pci 1", "pci-2"] })).toMatch(/path: "pci-2"/);
    expect(suggested({ byPath: ["pci-1 "], byId: [" ata-1"] })).toBeUndefined();
    expect(suggested({ byPath: [], byId: [] })).toBeUndefined();
  });

  it("bounds the size of what a port leads to in whole MiB, where it has any", () => {
    const sized = (sizeBytes: number) => suggested({ byPath: ["p"], sizeBytes });
    expect(sized(2 ** 20)).toBe('match: { path: "p", minSize: "1MiB", maxSize: "1MiB" }');
    expect(sized(3 * 2 ** 19)).toBe('match: { path: "p", minSize: "1MiB", maxSize: "2MiB" }');
    expect(sized(2 ** 19)).toBe('match: { path: "p" }');
  });
});

describe("two paths to one disk", () => {
  const serial = "6001405a1b2c3d4e5f60718293a4b5c6";
  it.each([
    ["its serial", { serial }],
    ["its WWN", { wwn: `naa.${serial}` }],
    ["one of its ports", { path: "pci-0000:05:00.0-fc-0x5006016844602198-lun-0" }],
  ])("are refused as what they are, whether the disk is matched by %s", (_how, match) => {
    const held = problemOf(withMatch(match), disksOf(dmMultipath));
    expect(held.message).toBe(
      "disk system is seen by 2 paths to one disk: sda, sdb are held by the multipath map mpatha",
    );
    const apart = problemOf(withMatch(match), disksOf(twoPaths));
    expect(apart.message).toBe(
      `disk system is seen by 2 paths to one disk: sda, sdb have the WWN naa.${serial}`,
    );
    for (const { hint } of [held, apart]) {
      expect(hint).toMatch(/^imgbuild does not deploy to multipath disks yet/);
      expect(hint).not.toMatch(/unplug/);
    }
  });

  it("are no matter where one is left, whatever holds it", () => {
    const [only] = disksOf(dmMultipath);
    expect(matchDisks(withMatch({ serial }), [only!]).system).toBe(only);
  });

  it("are no matter where their disk is not in the definition", () => {
    const other = diskFacts("sdc", { serial: "S3Z8NB0K" });
    expect(matchDisks(withMatch({ serial: "S3Z8NB0K" }), [...disksOf(dmMultipath), other]).system).toBe(
      other,
    );
  });
});
