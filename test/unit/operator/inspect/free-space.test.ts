import { expect, it } from "vitest";
import { roomOf } from "../../../../src/operator/inspect/free-space.ts";
import { Storage } from "../../../../src/schema/storage.ts";
import { lockOf, serverSpec } from "../../../helpers/builders/deployable.ts";
import { diskFacts, mib } from "../../../helpers/builders/storage.ts";

it("counts the partitions for filesystems, and packages as large as they unpack to, with the swap file", () => {
  const spec = serverSpec();
  const disks = { system: diskFacts("vda") };
  const lock = lockOf(spec);
  const packages = lock.packages.length * 1000;
  // Of 4096 MiB: 1 before the first partition, 1 for GRUB, 256 for the ESP, 1 behind the last one.
  expect(roomOf(spec, lock, disks)).toEqual({
    has: (4096 - 1 - 1 - 256 - 1) * mib,
    least: 1.5 * packages + 64 * mib,
    usual: 3.5 * packages + 64 * mib,
  });
});

const gib = 1024 * mib;
const mirrored = (content: object, more: object = {}) =>
  Storage.parse({
    disks: Object.fromEntries(
      ["a", "b"].map((name) => [
        name,
        {
          match: { serial: name },
          table: { type: "gpt", partitions: [{ name: "all", type: "linux", size: "rest", content }] },
        },
      ]),
    ),
    ...more,
  });
const disks = {
  a: diskFacts("vda", { sizeBytes: 6 * gib }),
  b: diskFacts("vdb", { sizeBytes: 6 * gib }),
};
const roomIn = (storage: Storage) =>
  Math.floor(roomOf({ ...serverSpec(), storage }, lockOf(serverSpec()), disks).has / mib);

it("counts a mirror of two disks of 6 GiB as what it holds", () => {
  const root = { type: "ext4", mount: "/" };
  const arrays = { md: { level: 1, content: root } };
  expect(roomIn(mirrored({ type: "md-member", array: "md" }, { arrays }))).toBe(6135);
  const pools = { p: { mount: "/", subvolumes: { "@var": { mount: "/var" } } } };
  expect(roomIn(mirrored({ type: "btrfs-member", pool: "p" }, { pools }))).toBe(6142);
});

it("counts what thin volumes share once, and nothing where packages put no files", () => {
  const thin = (mount: string) => ({
    ...{ kind: "thin", pool: "pool", size: "6GiB" },
    content: { type: "ext4", mount },
  });
  const volumes = {
    ...{ pool: { kind: "thin-pool", size: "8GiB" }, root: thin("/"), var: thin("/var") },
    srv: { size: "rest", content: { type: "ext4", mount: "/srv" } },
  };
  expect(roomIn(mirrored({ type: "lvm-pv", group: "vg" }, { volumeGroups: { vg: { volumes } } }))).toBe(8192);
});
