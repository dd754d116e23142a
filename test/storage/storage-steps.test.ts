import { describe, expect, it } from "vitest";
import { Plan } from "../../src/schema/plan.ts";
import { Storage } from "../../src/schema/storage.ts";
import { allSteps } from "../../src/steps/registry.ts";
import { storageSteps } from "../../src/storage/storage-steps.ts";
import { diskFacts, holding, keptUuid, mib, root, shownDevice } from "../helpers/storage.ts";
import { stepsFor } from "../helpers/storage-steps.ts";

const doing = (steps: readonly { doing: string }[]) => steps.map((step) => step.doing);
const pvUuid = "Kq3vY1-7bXc-9dTe-2fRg-4hJk-6lMn-8pQrSt";
const luksUuid = "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718";

describe("storageSteps", () => {
  const stackSteps = () =>
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
    const stack = stackSteps();
    expect(stack.create.map(({ kind }) => kind)).toEqual([
      ...["partition-disk", "partition-disk", "make-storage", "make-storage", "open-luks"],
      ...["make-storage", "make-storage", "make-storage", "mkfs-ext4", "make-storage"],
    ]);
    expect(doing(stack.create).slice(0, 2)).toEqual([
      "partitioning a (serial A, 8192 MiB)",
      "partitioning b (serial B, 8192 MiB)",
    ]);
    expect(doing(stack.open)).toEqual(["assembling md", "opening array md as crypt", "activating vg"]);
    expect(doing(stack.close)).toEqual(["deactivating vg", "closing array md", "stopping md"]);
    expect(doing(stack.mount)).toEqual(["mounting /", "mounting /home"]);
    expect(stack.unmount).toMatchObject([{ paths: ["/home", "/"] }]);
  });

  it("holds only data that the executor accepts, and no device's name", () => {
    const stack = stackSteps();
    const all = [
      ...stack.prepare(),
      ...stack.create,
      ...stack.open,
      ...stack.mount,
      ...stack.unmount,
      ...stack.close,
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

  it("refuses what lies in itself", () => {
    expect(() =>
      stepsFor([[holding({ type: "lvm-pv", group: "vg" })]], {
        volumeGroups: { vg: { volumes: { a: { size: "rest", content: { type: "lvm-pv", group: "vg" } } } } },
      }),
    ).toThrow(/lies in itself/);
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
    expect(steps.config.fstab).toContain(`UUID=${keptUuid} /home ext4 defaults 0 2\n`);
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
    expect(steps.config.crypttab).toBe(`crypt UUID=${luksUuid} none luks\n`);
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
    expect(steps.config.fstab).toContain(`UUID=${keptUuid} /home btrfs subvol=@home 0 0\n`);
  });
});
