import { describe, expect, it } from "vitest";
import { filesystemOf, mountsOf, writtenDisks } from "../../src/storage/check-storage.ts";
import { esp, keptDisk, keptUuid, root, storageOf } from "../helpers/storage.ts";

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
