import { describe, expect, it } from "vitest";
import type { Storage } from "../../../../src/schema/storage.ts";
import { graphOf, type Place, scopeOf, showPlace } from "../../../../src/storage/graph/graph.ts";
import { holding, keptDisk, keptUuid, root, storageOf } from "../../../helpers/builders/storage.ts";
import { storageFor } from "../../../helpers/builders/storage-steps.ts";

const ext4 = (mount: string) => ({ type: "ext4", mount });
const luks = (name: string, more: object = {}) => ({
  ...{ type: "luks", name, key: "k", content: ext4(`/${name}`), ...more },
});
const shown = (storage: Storage) =>
  graphOf(storage).nodes.map(({ id, path, requires }) => [id, path.join("."), requires]);
const at = (disk: string, index: number) => `storage.disks.${disk}.table.partitions.${index}.content`;

describe("graphOf", () => {
  it("has every node once, what it lies in before it, with the field that made it", () => {
    const storage = storageFor(
      [
        [
          holding({ type: "lvm-pv", group: "vg" }),
          holding(luks("c", { detachedHeader: true }), "64MiB", "c"),
          holding({ type: "luks-header", volume: "c" }, "64MiB", "h"),
          holding({ type: "md-member", array: "md" }, "64MiB", "m"),
          holding({ type: "btrfs-member", pool: "p" }, "64MiB", "b"),
          { name: "bios", type: "bios-boot", size: "1MiB" },
        ],
      ],
      {
        arrays: { md: { level: 1, content: ext4("/m") }, other: { level: 1, content: ext4("/o") } },
        pools: { p: { mount: "/p" }, q: { mount: "/q" } },
        volumeGroups: {
          vg: {
            volumes: {
              t: { kind: "thin", pool: "pool", size: "1GiB", content: ext4("/t") },
              pool: { kind: "thin-pool", size: "64MiB" },
              a: { size: "64MiB", content: ext4("/a") },
            },
          },
          none: { volumes: {} },
        },
      },
    );
    expect(shown(storage)).toEqual([
      ["partition a/m", at("a", 3), []],
      ["array md", "storage.arrays.md", ["partition a/m"]],
      ["array other", "storage.arrays.other", []],
      ["partition a/data", at("a", 0), []],
      ["group vg", "storage.volumeGroups.vg", ["partition a/data"]],
      ["group none", "storage.volumeGroups.none", []],
      ["volume vg/pool", "storage.volumeGroups.vg.volumes.pool", ["group vg"]],
      ["volume vg/a", "storage.volumeGroups.vg.volumes.a", ["group vg"]],
      ["volume vg/t", "storage.volumeGroups.vg.volumes.t", ["group vg", "volume vg/pool"]],
      ["partition a/b", at("a", 4), []],
      ["pool p", "storage.pools.p", ["partition a/b"]],
      ["pool q", "storage.pools.q", []],
      ["partition a/h", at("a", 2), []],
      ["partition a/c", at("a", 1), ["partition a/h"]],
      ["in luks c", `${at("a", 1)}.content`, ["partition a/c"]],
      ["partition a/root", at("a", 6), []],
      ["array md content", "storage.arrays.md.content", ["array md"]],
      ["array other content", "storage.arrays.other.content", ["array other"]],
      ["volume vg/t content", "storage.volumeGroups.vg.volumes.t.content", ["volume vg/t"]],
      ["volume vg/a content", "storage.volumeGroups.vg.volumes.a.content", ["volume vg/a"]],
    ]);
    const members = graphOf(storage).nodes.flatMap((node) =>
      "members" in node ? [[node.id, node.members.map(showPlace)]] : [],
    );
    expect(members).toEqual([
      ["array md", ["partition a/m"]],
      ["array other", []],
      ["group vg", ["partition a/data"]],
      ["group none", []],
      ["pool p", ["partition a/b"]],
      ["pool q", []],
    ]);
  });

  it("asks each volume with a header apart for its own", () => {
    const apart = (name: string) => [
      holding(luks(name, { detachedHeader: true }), "64MiB", name),
      holding({ type: "luks-header", volume: name }, "64MiB", `${name}-h`),
    ];
    const whole = holding(luks("w"), "64MiB", "w");
    const { nodes } = graphOf(storageFor([[...apart("c"), ...apart("d"), whole]]));
    const requires = (id: string) => nodes.find((node) => node.id === id)?.requires;
    expect(requires("partition a/c")).toEqual(["partition a/c-h"]);
    expect(requires("partition a/d")).toEqual(["partition a/d-h"]);
    expect(requires("partition a/w")).toEqual([]);
  });

  it("keeps a group of which a member is kept, and a volume whose content is", () => {
    const keep = { uuid: keptUuid };
    const pv = (more: object) => ({ type: "lvm-pv", group: "vg", ...more });
    const lvm = { uuid: "Kq3vY1-7bXc-9dTe-2fRg-4hJk-6lMn-8pQrSt" };
    const of = (...members: object[]) =>
      graphOf(
        storageFor([members.map((one, index) => holding(one, "64MiB", `m${index}`))], {
          volumeGroups: {
            vg: {
              volumes: {
                a: { content: { ...ext4("/a"), keep } },
                b: { size: "1GiB", content: ext4("/b") },
                c: {},
              },
            },
          },
        }),
      ).nodes.flatMap((node) => ("kept" in node ? [node.kept] : []));
    expect(of(pv({ keep: lvm }), pv({}))).toEqual([true, true, false, false]);
    expect(of(pv({}))).toEqual([false, true, false, false]);
  });

  it("has what lies on kept disks as what is kept, found by its UUID", () => {
    const [filesystem] = keptDisk.keep;
    const outer = "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718";
    const other = "9d1f1f0a-52a5-4f0e-9c1b-0b5e6f7a8c9d";
    const keep = [
      { type: "luks", uuid: outer, name: "c", key: "k", content: filesystem },
      { type: "btrfs", uuid: other, mount: "/b" },
    ];
    const storage = storageOf([root], { disks: { data: { ...keptDisk, keep } } });
    const { nodes } = graphOf(storage);
    expect(nodes.slice(1)).toMatchObject([
      {
        id: `kept disk data/${outer} content`,
        path: ["storage", "disks", "data", "keep", 0],
        requires: [],
        content: {
          type: "luks",
          keep: { uuid: outer },
          discard: false,
          detachedHeader: false,
          options: ["nofail"],
        },
      },
      {
        id: "in luks c",
        content: { type: "ext4", mount: "/srv", keep: { uuid: keptUuid }, options: ["nofail"] },
      },
      {
        id: `kept disk data/${other} content`,
        path: ["storage", "disks", "data", "keep", 1],
        content: { type: "btrfs", mount: "/b", keep: { uuid: other }, subvolumes: {} },
      },
    ]);
  });

  it("shows a circle from where it closes, and no order then", () => {
    const inGroup = { size: "64MiB", content: { type: "lvm-pv", group: "vg" } };
    const storage = storageFor([[]], {
      arrays: { out: { level: 1, content: ext4("/out") } },
      volumeGroups: {
        vg: { volumes: { a: inGroup, b: { size: "64MiB", content: { type: "md-member", array: "out" } } } },
      },
    });
    const { cycle, nodes } = graphOf(storage);
    expect(cycle).toEqual(["group vg", "volume vg/a content", "volume vg/a", "group vg"]);
    expect(nodes.map(({ id }) => id)).toEqual([
      ...["array out", "group vg", "volume vg/a", "volume vg/b", "partition a/root", "array out content"],
      ...["volume vg/a content", "volume vg/b content"],
    ]);
    expect(graphOf(storageFor([[]])).cycle).toBeUndefined();
  });
});

describe("a place", () => {
  const { system } = storageOf([root]).disks;
  const partition = "table" in system! ? system.table.partitions[0]! : undefined;
  it.each<[Place, string, readonly string[]]>([
    [{ on: "partition", disk: "d", partition: partition! }, "partition d/root", ["d", "root"]],
    [{ on: "kept-disk", disk: "d", uuid: keptUuid }, `kept disk d/${keptUuid}`, ["d", keptUuid]],
    [{ on: "volume", group: "vg", name: "a" }, "volume vg/a", ["volume:vg", "a"]],
    [{ on: "luks", name: "c" }, "luks c", ["luks:", "c"]],
    [{ on: "array", name: "md" }, "array md", ["array:", "md"]],
  ])("%j is shown as %s, and gives identifiers of its own", (place, text, scope) => {
    expect(showPlace(place)).toBe(text);
    expect(scopeOf(place)).toEqual(scope);
  });
});
