import { describe, expect, it } from "vitest";
import { Plan } from "../../../../src/schema/plan.ts";
import { Storage } from "../../../../src/schema/storage.ts";
import { allSteps } from "../../../../src/steps/registry.ts";
import { swapUuid } from "../../../../src/storage/graph/ids.ts";
import { storageSteps } from "../../../../src/storage/plan/storage-steps.ts";
import {
  argvOf,
  diskFacts,
  fileOf,
  holding,
  keptDisk,
  keptUuid,
  mib,
  root,
  shownDevice,
  storageOf,
} from "../../../helpers/builders/storage.ts";
import { stepsFor, storageFor } from "../../../helpers/builders/storage-steps.ts";

const doing = (steps: readonly { doing: string }[]) => steps.map((step) => step.doing);
const pvUuid = "Kq3vY1-7bXc-9dTe-2fRg-4hJk-6lMn-8pQrSt";
const luksUuid = "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718";

describe("storageSteps", () => {
  const stack = () =>
    stepsFor([[holding({ type: "md-member", array: "md" })], [holding({ type: "md-member", array: "md" })]], {
      arrays: {
        md: {
          level: 1,
          content: { type: "luks", name: "crypt", key: "k", content: { type: "lvm-pv", group: "vg" } },
        },
      },
      volumeGroups: { vg: { volumes: { home: { size: "rest", content: { type: "xfs", mount: "/home" } } } } },
    });

  it("makes and opens from the disk up, and closes in the opposite order", () => {
    const made = stack();
    expect(made.create.map(({ kind }) => kind)).toEqual([
      ...["partition-disk", "partition-disk", "make-storage", "make-storage", "open-luks"],
      ...["make-storage", "make-storage", "make-storage", "mkfs-ext4", "make-storage"],
    ]);
    expect(doing(made.create).slice(0, 2)).toEqual([
      "partitioning a (serial A, 8192 MiB)",
      "partitioning b (serial B, 8192 MiB)",
    ]);
    expect(doing(made.open)).toEqual(["assembling md", "opening array md as crypt", "activating vg"]);
    expect(doing(made.close)).toEqual(["deactivating vg", "closing array md", "stopping md"]);
    expect(doing(made.mount)).toEqual(["mounting /", "mounting /home"]);
    expect(made.unmount).toMatchObject([{ paths: ["/home", "/"] }]);
  });

  it("holds only data that the executor accepts, and no device's name", () => {
    const made = stack();
    const all = [
      ...made.prepare(),
      ...made.create,
      ...made.open,
      ...made.mount,
      ...made.unmount,
      ...made.close,
    ];
    for (const { kind, doing: what, ...data } of Plan.parse({
      version: 1,
      hostname: "h",
      definition: "d",
      steps: JSON.parse(JSON.stringify(all)),
    }).steps)
      expect(allSteps.get(kind)?.schema.safeParse(data).error, what).toBeUndefined();
    expect(JSON.stringify(all)).not.toMatch(/\/dev\/(sd|vd|nvme|dm-|md\d)/);
  });

  it("makes the swap file in the mounted tree, and nothing where there is none", () => {
    const { fill } = stepsFor([[]], { swapFile: { size: "64MiB" } });
    expect(fill).toMatchObject([
      { kind: "swap-file", path: "/swapfile", sizeBytes: 64 * mib, uuid: swapUuid("s") },
    ]);
    expect(stack().fill).toEqual([]);
    expect(stack().seal).toEqual([]);
    expect(stack().verity).toBeUndefined();
  });

  it("mounts each of several pools by its own members, and a btrfs by what its files depend on alone", () => {
    const member = (pool: string) => holding({ type: "btrfs-member", pool }, "1GiB", pool);
    const pool = (mount: string) => ({
      ...{ mount, data: "single", metadata: "single", options: ["noatime", "nosubvol=x"] },
      compression: "zstd:1",
    });
    const { mount } = stepsFor([[member("p"), member("q")]], { pools: { p: pool("/p"), q: pool("/q") } });
    expect(
      mount.slice(1).map(({ device, others, options }) => [shownDevice(device as object), others, options]),
    ).toEqual([
      ["<a:1>", [], ["compress=zstd:1"]],
      ["<a:2>", [], ["compress=zstd:1"]],
    ]);
    expect(mount[0]!.options).toEqual([]);
  });

  it("makes each volume on the members of its own group, whatever else has its name", () => {
    const pv = (group: string) => holding({ type: "lvm-pv", group }, "1GiB", group);
    const groups = { vg: { volumes: { p: { size: "64MiB" } } }, p: { volumes: { b: { size: "64MiB" } } } };
    const { create, mount } = stepsFor(
      [[pv("vg")], [pv("p")], [holding({ type: "btrfs-member", pool: "p" })]],
      { volumeGroups: groups, pools: { p: { mount: "/p", data: "single", metadata: "single" } } },
    );
    expect(argvOf(create).filter((one) => one.includes("lvcreate"))).toEqual([
      expect.stringMatching(/ --devices <a:1> --name p .* vg$/),
      expect.stringMatching(/ --devices <b:1> --name b .* p$/),
    ]);
    expect(shownDevice(mount.at(-1)!.device as object)).toBe("<c:1>");
  });

  it("refuses a disk that was not matched, and a pool of nothing", () => {
    const storage = storageFor([[], [holding({ type: "swap" })]]);
    const a = diskFacts("vda", { serial: "A", sizeBytes: 8192 * mib });
    expect(() => storageSteps(storage, { a }, "s", 1)).toThrow("disk b was not matched");
    const pools = { p: { mount: "/p" } };
    expect(() => stepsFor([[]], { pools })).toThrow("nothing is laid out for /p");
  });

  it("names disks without a serial as such", () => {
    const storage = Storage.parse({
      disks: { a: { match: { path: "pci-1" }, table: { type: "gpt", partitions: [root] } } },
    });
    const { create } = storageSteps(storage, { a: diskFacts("vda", { byPath: ["pci-1"] }) }, "s", 1);
    expect(create[0]).toMatchObject({
      doing: "partitioning a (serial none, 4096 MiB)",
      disk: { path: "pci-1" },
    });
  });

  it("refuses what lies in itself", () => {
    expect(() =>
      stepsFor([[holding({ type: "lvm-pv", group: "vg" })]], {
        volumeGroups: { vg: { volumes: { a: { size: "rest", content: { type: "lvm-pv", group: "vg" } } } } },
      }),
    ).toThrow(/lies in itself/);
  });
});

describe("F36: what is kept on another disk", () => {
  const system = diskFacts("vda", { serial: "SYS" });
  const prepared = (keep: readonly object[], facts: object) =>
    storageSteps(
      storageOf([root], { disks: { data: { ...keptDisk, keep } } }),
      { system, data: diskFacts("vdb", { serial: "DATA", ...facts }) },
      "s",
      1,
    ).prepare();
  const part = (name: string, more: object) => ({
    ...{ name, startBytes: mib, sizeBytes: 100 * mib, mountPoints: [] },
    ...more,
  });

  it("is looked at as a whole disk, or by the partition that holds it, and only the plan's disks are closed", () => {
    const steps = prepared(keptDisk.keep, { fsType: "ext4", uuid: keptUuid.toUpperCase() });
    expect(steps).toMatchObject([
      { kind: "close-disks", disks: [{ name: "system" }] },
      { kind: "check-kept", uuid: keptUuid, device: { disk: { name: "data", serial: "DATA" } } },
    ]);
    const partitions = [
      part("vdb1", { fsType: "xfs" }),
      part("nvme0n1p12", { uuid: keptUuid, startBytes: 2 * mib }),
    ];
    expect(prepared(keptDisk.keep, { partitions })[1]).toMatchObject({
      device: {
        partition: { disk: { name: "data" }, number: 12, startBytes: 2 * mib, sizeBytes: 100 * mib },
      },
    });
  });

  it("is opened to be looked into, and what lies in it is found there", () => {
    const keep = [{ type: "luks", uuid: luksUuid, name: "c", key: "k", content: keptDisk.keep[0] }];
    expect(prepared(keep, { fsType: "crypto_LUKS", uuid: luksUuid }).slice(1)).toMatchObject([
      { kind: "check-kept", device: { disk: { name: "data" } } },
      { kind: "open-luks", readOnly: true },
      { kind: "check-kept", device: { luks: { name: "c", uuid: luksUuid } } },
      { kind: "close-luks" },
    ]);
  });

  it.each<[string, object]>([
    ["nothing has its UUID", {}],
    ["what has it has no number", { partitions: [part("vdb", { uuid: keptUuid })] }],
    ["what has it is numbered zero", { partitions: [part("vdb0", { uuid: keptUuid })] }],
  ])("is a refusal where %s", (_why, facts) => {
    expect(() => prepared(keptDisk.keep, facts)).toThrow(
      `disk data has nothing with the UUID ${keptUuid}, which is to be kept`,
    );
  });
});

describe("F36: what is kept", () => {
  const facts = (fsType: string, uuid: string) =>
    diskFacts("vda", {
      serial: "A",
      sizeBytes: 8192 * mib,
      partitions: [
        { name: "vda7", startBytes: 5000 * mib, sizeBytes: 1000 * mib, fsType, uuid, mountPoints: [] },
      ],
    });
  const of = (
    content: object,
    seen: ReturnType<typeof facts>,
    more: object = {},
    first: object[] = [{ ...root, size: "1GiB" }],
  ) =>
    storageSteps(
      Storage.parse({
        disks: {
          a: {
            match: { serial: "A" },
            table: { type: "gpt", partitions: [...first, { name: "kept", type: "linux", content }] },
          },
        },
        ...more,
      }),
      { a: seen },
      "s",
      1,
    );

  it("is looked at where it lies now, not formatted, not mounted, and named to the new system", () => {
    const steps = of({ type: "ext4", mount: "/home", keep: { uuid: keptUuid } }, facts("ext4", keptUuid));
    expect(steps.prepare()).toMatchObject([
      { kind: "close-disks", disks: [{ name: "a" }] },
      {
        ...{ kind: "check-kept", type: "ext4", uuid: keptUuid },
        device: { partition: { number: 7, startBytes: 5000 * mib, sizeBytes: 1000 * mib } },
      },
    ]);
    expect(steps.create.filter(({ kind }) => kind === "mkfs-ext4")).toHaveLength(1);
    expect(steps.create[0]).toMatchObject({
      kept: [{ startBytes: 5000 * mib, sizeBytes: 1000 * mib }],
      made: [{ startBytes: mib, sizeBytes: 1024 * mib }],
    });
    expect(doing(steps.mount)).toEqual(["mounting /"]);
    expect(fileOf(steps.config, "/etc/fstab")).toContain(`UUID=${keptUuid} /home ext4 defaults 0 2\n`);
    expect(steps.config.directories).toEqual(["/home"]);
  });

  it("is tried with its key; what lies in it is looked at with it open, and it is closed again", () => {
    const content = {
      ...{ type: "luks", name: "crypt", key: "k", keep: { uuid: luksUuid } },
      content: { type: "ext4", mount: "/home", keep: { uuid: keptUuid } },
    };
    const steps = of(content, facts("crypto_LUKS", luksUuid));
    expect(steps.prepare().slice(1)).toMatchObject([
      { kind: "check-kept", type: "crypto_LUKS", uuid: luksUuid, key: { secret: "k", trim: true } },
      { kind: "open-luks", name: "crypt", uuid: luksUuid },
      {
        kind: "check-kept",
        type: "ext4",
        uuid: keptUuid,
        device: { luks: { name: "crypt", uuid: luksUuid } },
      },
      { kind: "close-luks", name: "crypt", uuid: luksUuid },
    ]);
    for (const part of [steps.create.slice(1), steps.open, steps.close])
      expect(JSON.stringify(part)).not.toContain(luksUuid);
    expect(fileOf(steps.config, "/etc/crypttab")).toBe(`crypt UUID=${luksUuid} none luks\n`);
    expect(steps.enroll).toEqual([]);
  });

  it("is not touched where all in it is kept too, through a group and a btrfs", () => {
    const volumes = { srv: { content: { type: "ext4", mount: "/srv", keep: { uuid: keptUuid } } } };
    const whole = [{ ...root, size: "1GiB" }];
    const group = of(
      { type: "lvm-pv", group: "vg", keep: { uuid: pvUuid } },
      facts("LVM2_member", pvUuid),
      { volumeGroups: { vg: { volumes } } },
      whole,
    );
    expect(group.create.map(({ kind }) => kind)).toEqual(["partition-disk", "mkfs-ext4"]);
    const content = {
      type: "btrfs",
      keep: { uuid: keptUuid },
      subvolumes: { a: { mount: "/a", keep: true } },
    };
    expect(of(content, facts("btrfs", keptUuid)).create.map(({ kind }) => kind)).toEqual([
      "partition-disk",
      "mkfs-ext4",
    ]);
    const inLuks = (subvolumes: object) =>
      of(
        {
          ...{ type: "luks", name: "crypt", key: "k", keep: { uuid: luksUuid } },
          content: { ...content, subvolumes },
        },
        facts("crypto_LUKS", luksUuid),
      ).create.map(({ kind }) => kind);
    expect(inLuks(content.subvolumes)).toEqual(["partition-disk", "mkfs-ext4"]);
    expect(inLuks({ ...content.subvolumes, b: {} })).toEqual([
      ...["partition-disk", "mkfs-ext4", "open-luks", "btrfs-subvolumes"],
    ]);
    const outer = {
      ...{ type: "luks", name: "crypt", key: "k", keep: { uuid: luksUuid } },
      content: { type: "lvm-pv", group: "vg", keep: { uuid: pvUuid } },
    };
    const opened = of(outer, facts("crypto_LUKS", luksUuid), { volumeGroups: { vg: { volumes } } }, whole);
    expect(opened.create.map(({ kind }) => kind)).toEqual(["partition-disk", "mkfs-ext4"]);
    const bare = { ...volumes, b: { size: "64MiB" } };
    const added = of(
      outer,
      facts("crypto_LUKS", luksUuid),
      { volumeGroups: { vg: { volumes: bare } } },
      whole,
    );
    expect(added.create.map(({ kind }) => kind)).toContain("open-luks");
    const anew = { ...volumes, b: { size: "64MiB", content: { type: "xfs", mount: "/b" } } };
    const some = of(
      outer,
      facts("crypto_LUKS", luksUuid),
      { volumeGroups: { vg: { volumes: anew } } },
      whole,
    );
    expect(some.create.map(({ kind }) => kind)).toEqual([
      ...["partition-disk", "open-luks", "open-group", "remove-volumes", "make-storage"],
      ...["mkfs-ext4", "make-storage"],
    ]);
  });

  it("is opened while another filesystem is made in it", () => {
    const content = {
      ...{ type: "luks", name: "crypt", key: "k", keep: { uuid: luksUuid } },
      content: { type: "ext4", mount: "/home" },
    };
    const { create, open, close } = of(content, facts("crypto_LUKS", luksUuid));
    expect(create.map(({ kind }) => kind)).toEqual(["partition-disk", "mkfs-ext4", "open-luks", "mkfs-ext4"]);
    expect(open).toMatchObject([{ uuid: luksUuid }]);
    expect(close).toMatchObject([{ uuid: luksUuid }]);
  });

  it("is not enrolled again, though another filesystem is made in it", () => {
    const content = {
      ...{ type: "luks", name: "crypt", key: "k", keep: { uuid: luksUuid }, unlock: { type: "tpm2" } },
      content: { type: "ext4", mount: "/home" },
    };
    const steps = of(content, facts("crypto_LUKS", luksUuid));
    expect(steps.open).toHaveLength(1);
    expect(steps.enroll).toEqual([]);
  });

  it("is a group, of which single volumes are removed and made again", () => {
    const volumes = {
      root: { size: "1GiB", content: { type: "ext4", mount: "/" } },
      srv: { content: { type: "ext4", mount: "/srv", keep: { uuid: keptUuid } } },
    };
    const steps = of(
      { type: "lvm-pv", group: "vg", keep: { uuid: pvUuid } },
      facts("LVM2_member", pvUuid),
      { volumeGroups: { vg: { volumes } } },
      [],
    );
    expect(steps.create.map(({ kind, names }) => [kind, names])).toEqual([
      ["partition-disk", undefined],
      ["open-group", undefined],
      ["remove-volumes", ["root"]],
      ["make-storage", undefined],
      ["mkfs-ext4", undefined],
    ]);
    expect(
      steps
        .prepare()
        .slice(1)
        .map(({ kind }) => kind),
    ).toEqual([...["check-kept", "look-at-group", "check-kept", "leave-group"]]);
    const looked = steps.prepare().filter(({ kind }) => kind === "check-kept");
    expect(looked.map(({ device }) => shownDevice(device as object))).toEqual(["<a:7>", "<volume vg/srv>"]);
  });

  it("is a subvolume, beside which others are made in the same filesystem", () => {
    const content = {
      ...{ type: "btrfs", keep: { uuid: keptUuid } },
      subvolumes: { "@": { mount: "/" }, "@home": { mount: "/home", keep: true } },
    };
    const steps = of(content, facts("btrfs", keptUuid), {}, []);
    expect(steps.create).toMatchObject([
      { kind: "partition-disk" },
      { kind: "btrfs-subvolumes", names: ["@"] },
    ]);
    expect(steps.prepare()[1]).toMatchObject({ kind: "check-kept", type: "btrfs", subvolumes: ["@home"] });
    expect(steps.mount).toMatchObject([{ path: "/", options: ["subvol=@"] }]);
    expect(fileOf(steps.config, "/etc/fstab")).toContain(`UUID=${keptUuid} /home btrfs subvol=@home 0 0\n`);
  });
});
