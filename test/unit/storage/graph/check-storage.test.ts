import { describe, expect, it } from "vitest";
import { filesystemOf, mountsOf, writtenDisks } from "../../../../src/storage/graph/check-storage.ts";
import { esp, keptDisk, keptUuid, root, storageOf } from "../../../helpers/builders/storage.ts";

const other = (partitions: readonly object[]) => ({
  match: { serial: "OTHER" },
  table: { type: "gpt", partitions },
});
const linux = (mount: string) => ({
  name: "x",
  type: "linux",
  size: "1MiB",
  content: { type: "ext4", mount },
});

describe("what lies where", () => {
  const storage = storageOf([linux("/srv/a/b"), esp, root], {
    disks: { data: keptDisk, aa: other([linux("/srv-2")]) },
  });

  it("mounts parents first", () => {
    expect(mountsOf(storage).map(({ mount }) => mount)).toEqual(["/", "/efi", "/srv", "/srv-2", "/srv/a/b"]);
    expect(mountsOf(storage)[2]).toMatchObject({ kept: true, uuid: keptUuid, partition: undefined });
  });

  it("mounts what is of one depth in the order of names, and what is deeper after it, however it is named", () => {
    const named = (mount: string) => ({ ...linux(mount), name: mount.replaceAll("/", "_") });
    const unsorted = storageOf(["/b", "/a/c", "/a/b", "/c", "/a"].map(named).concat(root as never));
    expect(mountsOf(unsorted).map(({ mount }) => mount)).toEqual(["/", "/a", "/b", "/c", "/a/b", "/a/c"]);
  });

  it("knows a mount by its place and by the field that declares it", () => {
    const content = { type: "btrfs", subvolumes: { "@a": { mount: "/a" }, "@b": {} }, compression: "zstd:1" };
    const luks = {
      type: "luks",
      name: "c",
      key: "k",
      content: { type: "ext4", mount: "/c", options: ["nodev"] },
    };
    const part = (name: string, held: object) => ({ name, type: "linux", size: "64MiB", content: held });
    const mounts = mountsOf(
      storageOf([part("b", content), part("l", luks), root], { disks: { data: keptDisk } }),
    );
    const at = "storage.disks.system.table.partitions";
    expect(
      mounts.map(({ mount, disk, partition, path }) => [mount, disk, partition, path.join(".")]),
    ).toEqual([
      ["/", "system", "root", `${at}.2.content.mount`],
      ["/a", "system", "b", `${at}.0.content.subvolumes.@a.mount`],
      ["/c", undefined, undefined, `${at}.1.content.content.mount`],
      ["/srv", "data", undefined, "storage.disks.data.keep.0.mount"],
    ]);
    expect(mounts.map(({ options }) => options)).toEqual([
      ...[[], ["subvol=@a", "compress=zstd:1"], ["nodev"], ["nofail"]],
    ]);
    expect(mounts.some((one) => "verity" in one)).toBe(false);
  });

  it("has no place for a path where there is no root", () => {
    expect(() => filesystemOf(storageOf([linux("/a")]), "/etc")).toThrow("no filesystem is mounted at /");
  });

  it("names written disks in a fixed order", () => {
    expect(writtenDisks(storage).map(([name]) => name)).toEqual(["aa", "system"]);
  });

  it.each([
    ["/etc/fstab", "/", "/etc/fstab"],
    ["/srv", "/srv", "/"],
    ["/srv/x", "/srv", "/x"],
    ["/srv-2/x", "/srv-2", "/x"],
    ["/srv-22/x", "/", "/srv-22/x"],
    ["/srv/a/b/c", "/srv/a/b", "/c"],
    ["/srv/a", "/srv", "/a"],
  ])("finds %s on %s as %s", (path, mount, inner) => {
    expect(filesystemOf(storage, path)).toMatchObject({ on: { mount }, inner });
  });
});
