import { describe, expect, it } from "vitest";
import { Storage } from "../../../../src/schema/storage.ts";
import { matchDisks } from "../../../../src/storage/match/match-disks.ts";
import {
  type HardwareOptions,
  onHardware,
  parseHardware,
} from "../../../../src/storage/match/other-hardware.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";
import {
  diskFacts,
  esp,
  keptDisk,
  keptUuid,
  mib,
  root,
  storageOf,
} from "../../../helpers/builders/storage.ts";

const gib = 1024 * mib;
const spare = diskFacts("nvme0n1", {
  serial: "SPARE",
  wwn: "eui.0025385b71b0c2aa",
  byPath: ["pci-0000:01:00.0-nvme-1"],
});
const data = diskFacts("sdb", {
  serial: "DATA",
  partitions: [
    { name: "sdb1", startBytes: mib, sizeBytes: 100 * mib, fsType: "ext4", uuid: keptUuid, mountPoints: [] },
  ],
});
const spec = serverSpec({
  storage: storageOf([esp, root], { disks: { data: keptDisk } }),
  network: { lan: { match: { mac: "52:54:00:00:00:01" } }, any: { match: { name: "en*" } } },
} as never);
const on = (options: HardwareOptions) => onHardware(spec, parseHardware(options));
const matched = (options: HardwareOptions, disks = [spare, data]) => matchDisks(on(options).storage!, disks);

describe("a definition on other hardware", () => {
  it.each(["system=serial:SPARE", "system=wwn:eui.0025385b71b0c2aa", "system=path:pci-0000:01:00.0-nvme-1"])(
    "takes the disk that --disk %s names in place of its own",
    (word) => {
      expect(() => matched({})).toThrow(/no disk of the machine matches disk system/);
      expect(matched({ disk: [word] })).toEqual({ system: spare, data });
    },
  );

  it("takes the only disk of a size, and refuses two", () => {
    const large = diskFacts("sda", { serial: "LARGE", sizeBytes: 400 * gib });
    expect(matched({ disk: ["system=size:300GiB..500GiB"] }, [spare, data, large]).system).toBe(large);
    expect(matched({ disk: ["system=size:300GiB.."] }, [spare, data, large]).system).toBe(large);
    const other = { ...large, name: "sdc", serial: "OTHER" };
    expect(() => matched({ disk: ["system=size:300GiB.."] }, [data, large, other])).toThrow(
      /2 disks match disk system/,
    );
  });

  it.each<[string, string, RegExp]>([
    ["that is not there", "system=serial:GONE", /no disk of the machine matches disk system \(serial GONE\)/],
    [
      "that another disk of the definition is",
      "system=serial:DATA",
      /are the same disk|would be written, but carries/,
    ],
  ])("refuses a disk %s", (_name, word, message) => {
    expect(() => matched({ disk: [word] })).toThrow(message);
  });

  it("refuses a disk that is too small, with the numbers", () => {
    const small = { ...spare, sizeBytes: 200 * mib };
    expect(() => matched({ disk: ["system=serial:SPARE"] }, [small, data])).toThrow(
      /disk system of 200 MiB is too small: .*MiB/,
    );
  });

  it("knows its link by the card that --card names, and leaves the others alone", () => {
    const { network } = on({ card: ["lan=52:54:00:AA:BB:CC"] });
    expect(network.lan!.match).toEqual({ mac: "52:54:00:aa:bb:cc" });
    expect(network.any).toEqual(spec.network.any);
  });

  it("is the same where nothing is said", () => {
    expect(on({})).toEqual(spec);
  });

  it.each<[HardwareOptions, RegExp]>([
    [{ disk: ["system"] }, /^--disk system: NAME=serial:…, .* is accepted$/],
    [{ disk: ["system=SPARE"] }, /is accepted$/],
    [{ disk: ["system=dev:sda"] }, /is accepted$/],
    [{ disk: ["system=path:../sda"] }, /is accepted$/],
    [{ disk: ["system=size:4GiB"] }, /is accepted$/],
    [{ disk: ["system=size:4GiB..2GiB"] }, /is accepted$/],
    [{ disk: ["system=size:..2GiB"] }, /is accepted$/],
    [{ disk: ["system=serial:A", "system=serial:B"] }, /--disk names system twice/],
    [{ disk: ["root=serial:A"] }, /--disk: the definition has no disk root/],
    [{ card: ["lan=eth0"] }, /^--card lan=eth0: .* is accepted$/],
    [{ card: ["wan=52:54:00:aa:bb:cc"] }, /--card: the definition has no card wan/],
  ])("refuses %j as wrong usage", (options, message) => {
    expect(() => on(options)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(message), exitCode: 2 }),
    );
  });
});

describe("alternatives of a disk", () => {
  const withOthers = (...alternatives: object[]) =>
    Storage.parse({
      disks: {
        system: { match: { serial: "USUAL" }, alternatives, table: { type: "gpt", partitions: [root] } },
      },
    });
  const usual = diskFacts("sda", { serial: "USUAL" });

  it("are tried in their order, and only where the usual disk is not there", () => {
    const storage = withOthers({ serial: "NONE" }, { path: "pci-0000:01:00.0-nvme-1" });
    expect(matchDisks(storage, [usual, spare]).system).toBe(usual);
    expect(matchDisks(storage, [spare]).system).toBe(spare);
    expect(() => matchDisks(storage, [data])).toThrow(
      /matches disk system \(serial USUAL; or serial NONE; or path pci-0000:01:00.0-nvme-1\)/,
    );
  });

  it("leave no room for a doubt: the first that finds any has to find one", () => {
    const model = (name: string, serial: string) => diskFacts(name, { serial, model: "M", byPath: ["port"] });
    const storage = withOthers({ path: "port" }, { serial: "B" });
    expect(() => matchDisks(storage, [model("sdb", "A"), model("sdc", "B")])).toThrow(
      /2 disks match disk system \(path port\)/,
    );
  });

  it("leave no trace where none are given, and are none by the table on the disk", () => {
    const { disks } = Storage.parse({
      disks: { system: { match: { serial: "S" }, table: { type: "gpt", partitions: [root] } } },
    });
    expect(Object.keys(disks.system!)).not.toContain("alternatives");
    expect(() => withOthers({ tableUuid: keptUuid })).toThrow(/before it is written/);
    expect(() => withOthers()).toThrow();
  });
});
