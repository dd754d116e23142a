import { describe, expect, it } from "vitest";
import { Storage } from "../../../../src/schema/storage.ts";
import { storageProblems } from "../../../../src/storage/check/check-graph.ts";
import { luksUuid } from "../../../../src/storage/nodes/luks.ts";
import { storageSteps } from "../../../../src/storage/plan/storage-steps.ts";
import { firstInstall } from "../../../../src/storage/table/first-install.ts";
import {
  argvOf,
  bios,
  diskFacts,
  fileOf,
  keptDisk,
  keptUuid,
  mib,
  root,
  storageOf,
} from "../../../helpers/builders/storage.ts";

const pv = "Kq3vY1-7bXc-9dTe-2fRg-4hJk-6lMn-8pQrSt";
const outer = "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718";
const luks = {
  ...{ type: "luks", name: "c", key: "k", keep: { uuid: outer } },
  content: { type: "xfs", mount: "/c", keep: { uuid: keptUuid } },
};
const btrfs = {
  ...{ type: "btrfs", keep: { uuid: "7d1f1f0a-52a5-4f0e-9c1b-0b5e6f7a8c9d" } },
  subvolumes: { a: { mount: "/a", keep: true }, b: { mount: "/b" } },
};
const storage = Storage.parse({
  disks: {
    a: {
      match: { serial: "A" },
      imageSize: "8GiB",
      table: {
        type: "gpt",
        partitions: [
          { name: "crypt", type: "linux-luks", content: luks },
          { name: "tree", type: "linux", content: btrfs },
          { ...root, size: "1GiB" },
          { name: "lvm", type: "linux-lvm", content: { type: "lvm-pv", group: "vg", keep: { uuid: pv } } },
        ],
      },
    },
    data: { ...keptDisk, keep: [{ ...keptDisk.keep[0], uuid: "9d1f1f0a-52a5-4f0e-9c1b-0b5e6f7a8c9d" }] },
  },
  volumeGroups: {
    vg: {
      volumes: {
        v: { content: { type: "ext4", mount: "/v", keep: { uuid: "8d1f1f0a-52a5-4f0e-9c1b-0b5e6f7a8c9d" } } },
      },
    },
  },
});

describe("firstInstall", () => {
  it("makes all that would be kept, of a size, by the UUIDs of the definition, and says the same of it", () => {
    const first = firstInstall(storage);
    expect(storageProblems(first)).toEqual([]);
    const facts = { a: diskFacts("vda", { serial: "A", sizeBytes: 8192 * mib }) };
    const { create, config, disks } = storageSteps(first, facts, "s", 1);
    expect(disks[0]!.layout.partitions.map(({ kept, sizeBytes }) => [kept, sizeBytes / mib])).toEqual([
      // 300 MiB is the least of an xfs, and LUKS has a header before it.
      [false, 316],
      [false, 256],
      [false, 1024],
      [false, 8191 - 1 - 316 - 256 - 1024],
    ]);
    expect(argvOf(create)).toEqual([
      "wipefs --all --quiet <a:4>",
      `lvm pvcreate --quiet --yes --norestorefile --uuid ${pv} --devices <a:4> <a:4>`,
      "lvm vgcreate --quiet --yes --devices <a:4> vg <a:4>",
      `lvm lvcreate --quiet --yes --wipesignatures y --devices <a:4> --name v --type linear --size ${256 * mib}b vg`,
      `cryptsetup luksFormat --type=luks2 --batch-mode --uuid=${outer} --key-file=- <a:1>`,
      `mkfs.xfs -q -f -m uuid=${keptUuid} <luks c>`,
      `mkfs.btrfs --quiet --force --uuid ${btrfs.keep.uuid} <a:2>`,
    ]);
    expect(create.find(({ kind }) => kind === "btrfs-subvolumes")).toMatchObject({ names: ["a", "b"] });
    const kept = storageSteps(storage, { ...facts, a: withParts(facts.a) }, "s", 1).config;
    expect(fileOf(config, "/etc/fstab")).toBe(fileOf(kept, "/etc/fstab"));
    expect(fileOf(config, "/etc/crypttab")).toBe(fileOf(kept, "/etc/crypttab"));
  });

  it("leaves kept disks alone, and a definition that keeps nothing as it is", () => {
    const first = firstInstall(storage);
    expect(first.disks.data).toEqual(storage.disks.data);
    expect(firstInstall(first)).toEqual(first);
    const plain = storageOf([bios, root]);
    const volumes = { a: { size: mib, kind: "linear" as const } };
    const bare = { ...plain, volumeGroups: { vg: { volumes } } };
    expect(firstInstall(bare)).toStrictEqual(bare);
  });
});

describe("a UUID of one's own", () => {
  it("goes before the one that is derived, and a kept one before it", () => {
    expect(luksUuid("s", { name: "c", uuid: keptUuid })).toBe(keptUuid);
    expect(luksUuid("s", { name: "c", uuid: keptUuid, keep: { uuid: outer } })).toBe(outer);
    expect(luksUuid("s", { name: "c" })).not.toBe(luksUuid("t", { name: "c" }));
  });
});

function withParts(disk: ReturnType<typeof diskFacts>) {
  const part = (name: string, startMib: number, fsType: string, uuid: string) => ({
    ...{ name, startBytes: startMib * mib, sizeBytes: 100 * mib, fsType, uuid, mountPoints: [] },
  });
  return {
    ...disk,
    partitions: [
      part("vda1", 1, "crypto_LUKS", outer),
      part("vda2", 101, "btrfs", btrfs.keep.uuid),
      part("vda3", 3000, "LVM2_member", pv),
    ],
  };
}
