import { describe, expect, it } from "vitest";
import { contentUuid } from "../../../../src/storage/graph/ids.ts";
import { luksUuid } from "../../../../src/storage/nodes/luks.ts";
import { mdUuid } from "../../../../src/storage/nodes/md.ts";
import { stackOf, storageConfig, storagePackages } from "../../../../src/storage/system/storage-config.ts";
import { argvOf, fileOf, holding, shownDevice, storageOf } from "../../../helpers/builders/storage.ts";
import { stepsFor, storageFor } from "../../../helpers/builders/storage-steps.ts";

const pv = holding({ type: "lvm-pv", group: "vg" });
const md = holding({ type: "md-member", array: "data" });
const on = "--devices <a:1> --devices <b:1>";

describe("lvm", () => {
  const volumes = {
    linear: { size: "512MiB", content: { type: "ext4", mount: "/l" } },
    striped: { kind: "striped", size: "25%" },
    mirror: { kind: "raid1", size: "128MiB" },
    pool: { kind: "thin-pool", size: "rest" },
    thin: { kind: "thin", pool: "pool", size: "2GiB", content: { type: "xfs", mount: "/t" } },
  };
  const steps = () => stepsFor([[pv], [pv]], { volumeGroups: { vg: { volumes } } });

  it("makes members, group and each kind of volume, and looks at no disk but theirs", () => {
    const make = `lvm lvcreate --quiet --yes --wipesignatures y ${on} --name`;
    expect(argvOf(steps().create)).toEqual([
      "wipefs --all --quiet <a:1>",
      "lvm pvcreate --quiet --yes --devices <a:1> <a:1>",
      "wipefs --all --quiet <b:1>",
      "lvm pvcreate --quiet --yes --devices <b:1> <b:1>",
      `lvm vgcreate --quiet --yes ${on} vg <a:1> <b:1>`,
      `${make} linear --type linear --size ${512 * 2 ** 20}b vg`,
      `${make} striped --type striped --stripes 2 --extents 25%VG vg`,
      `${make} mirror --type raid1 --mirrors 1 --size ${128 * 2 ** 20}b vg`,
      `lvm lvcreate --quiet --yes ${on} --name pool --type thin-pool --extents 100%FREE vg`,
      `${make} thin --type thin --virtualsize ${2 * 2 ** 30}b --thinpool pool vg`,
      `mkfs.xfs -q -f -m uuid=${contentUuid("s", "filesystem", "volume:vg", "thin")} <volume vg/thin>`,
    ]);
  });

  it("opens and closes the group as a whole", () => {
    expect(steps().open).toMatchObject([{ kind: "open-group", name: "vg", members: [{}, {}] }]);
    expect(steps().close).toMatchObject([{ kind: "close-group", name: "vg" }]);
    expect(
      storagePackages(storageFor([[pv], [pv]], { volumeGroups: { vg: { volumes } } }), "trixie"),
    ).toEqual([...["lvm2", "thin-provisioning-tools", "xfsprogs"]]);
  });
});

describe("the name of a volume in a step", () => {
  it("is that of what is made, without where it lies", () => {
    const header = holding({ type: "luks-header", volume: "c" }, "16MiB", "h");
    const luks = {
      type: "luks",
      name: "c",
      key: "k",
      detachedHeader: true,
      content: { type: "xfs", mount: "/x" },
    };
    const { create, open, close } = stepsFor(
      [
        [
          pv,
          header,
          holding({ ...luks, name: "d" }, "320MiB", "d"),
          { ...header, name: "hd", content: { type: "luks-header", volume: "d" } },
        ],
      ],
      { volumeGroups: { vg: { volumes: { v: { size: "320MiB", content: luks } } } } },
    );
    const doing = (steps: readonly { doing: string }[]) => steps.map((step) => step.doing);
    expect(doing(create)).toEqual(
      expect.arrayContaining([
        "encrypting v as c",
        "formatting luks c as xfs for /x",
        "making data a member of vg",
      ]),
    );
    expect(doing(open).sort()).toEqual(["activating vg", "opening d as d", "opening v as c"]);
    expect(doing(close)).toContain("closing v");
    const headerOf = (name: string) => open.find((step) => step.name === name)?.header;
    expect([headerOf("c"), headerOf("d")].map((one) => shownDevice(one as object))).toEqual([
      "<a:2>",
      "<a:4>",
    ]);
  });
});

describe("md", () => {
  it("makes an array over its members, clears what was at its place, and names it in mdadm.conf", () => {
    const uuid = mdUuid("s", "data");
    expect(uuid).toMatch(/^([0-9a-f]{8}:){3}[0-9a-f]{8}$/);
    const { create, open, close, config } = stepsFor([[md], [md], [md]], {
      arrays: { data: { level: 5, content: { type: "ext4", mount: "/srv" } } },
    });
    expect(argvOf(create)).toEqual([
      `mdadm --create /dev/md/data --run --level=5 --metadata=1.2 --raid-devices=3 --uuid=${uuid} --name=data --homehost=any --bitmap=internal <a:1> <b:1> <c:1>`,
      "wipefs --all --quiet <array data>",
    ]);
    expect(open).toMatchObject([{ kind: "open-array", name: "data", uuid, members: [{}, {}, {}] }]);
    expect(close).toMatchObject([{ kind: "close-array", name: "data", uuid }]);
    expect(fileOf(config, "/etc/mdadm/mdadm.conf")).toBe(
      `HOMEHOST <ignore>\nMAILADDR root\nARRAY /dev/md/data metadata=1.2 UUID=${uuid}\n`,
    );
  });

  it("has no bitmap where there is nothing to repair", () => {
    const { create } = stepsFor([[md], [md]], {
      arrays: { data: { level: 0, content: { type: "ext4", mount: "/srv" } } },
    });
    expect(argvOf(create)[0]).not.toContain("--bitmap");
  });
});

describe("stacks", () => {
  const member = (disk: string) => ({
    match: { serial: disk },
    table: {
      type: "gpt",
      partitions: [
        { name: "m", type: "linux-raid", size: "rest", content: { type: "md-member", array: "all" } },
      ],
    },
  });
  const storage = storageOf(
    [{ name: "x", type: "linux", size: "rest", content: { type: "ext4", mount: "/x" } }],
    {
      disks: { one: member("ONE"), two: member("TWO") },
    },
  );
  const stacked = {
    ...storage,
    arrays: {
      all: {
        level: 1 as const,
        metadata: "1.2" as const,
        content: {
          ...{ type: "luks" as const, name: "crypt", key: "k", unlock: { type: "passphrase" as const } },
          ...{ discard: false, options: [], detachedHeader: false },
          content: { type: "lvm-pv" as const, group: "vg" },
        },
      },
    },
    volumeGroups: {
      vg: {
        volumes: {
          root: {
            size: "rest" as const,
            kind: "linear" as const,
            content: { type: "ext4" as const, mount: "/", options: [] },
          },
        },
      },
    },
  };

  it("lead from the disks up: array, LUKS, group, volume, filesystem", () => {
    expect(stackOf(stacked, "/").map(({ id }) => id)).toEqual([
      "partition one/m",
      "partition two/m",
      "array all",
      "array all content",
      "in luks crypt",
      "group vg",
      "volume vg/root",
      "volume vg/root content",
    ]);
  });

  it("ask the initramfs for every layer of the root's, and for none of the others", () => {
    const config = storageConfig(stacked, "s");
    expect(config.modules).toEqual(expect.arrayContaining(["md-mod", "raid1", "dm-crypt", "dm-mod", "ext4"]));
    expect(fileOf(config, "/etc/crypttab")).toBe(
      `crypt UUID=${luksUuid("s", { name: "crypt" })} none luks,initramfs\n`,
    );
    expect(
      storageConfig(
        storageFor([[md], [md]], {
          arrays: { data: { level: 1, content: { type: "ext4", mount: "/srv" } } },
        }),
        "s",
      ).modules,
    ).toEqual(["ext4"]);
  });
});
