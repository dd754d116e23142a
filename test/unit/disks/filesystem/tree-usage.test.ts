import { linkSync, lstatSync, lutimesSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  refuseOverfull,
  settleTimes,
  settleTree,
  usageOfChanges,
} from "../../../../src/disks/filesystem/tree-usage.ts";
import { mib } from "../../../helpers/builders/storage.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const epoch = 1_600_000_000;

/** A directory, two files of which one has two names, a link; and a mount point with a file that is not counted. */
function tree(): string {
  const root = tempDir();
  mkdirSync(join(root, "d"));
  mkdirSync(join(root, "efi"));
  writeFileSync(join(root, "d/one"), Buffer.alloc(5000));
  linkSync(join(root, "d/one"), join(root, "d/again"));
  writeFileSync(join(root, "two"), "x");
  symlinkSync("d/one", join(root, "link"));
  writeFileSync(join(root, "efi/elsewhere"), Buffer.alloc(mib));
  return root;
}

describe("settleTree", () => {
  it("counts whole blocks and inodes, hard links once, other filesystems' content not at all", async () => {
    const root = tree();
    const directories = [root, join(root, "d"), join(root, "efi")]
      .map((path) => Math.ceil(lstatSync(path).size / 4096) * 4096)
      .reduce((sum, size) => sum + size, 0);
    expect(settleTree(root, epoch, [join(root, "efi")])).toEqual({
      bytes: directories + 8192 + 4096 + 4096,
      inodes: 6,
    });
    const all = settleTree(root, epoch, []);
    expect(all.inodes).toBe(7);
  });

  it("turns later times back, links' too, and leaves earlier ones", async () => {
    const root = tree();
    const early = epoch - 1000;
    utimesSync(join(root, "two"), early, early);
    lutimesSync(join(root, "link"), epoch + 5, epoch + 5);
    settleTree(root, epoch, [join(root, "efi")]);
    const time = (path: string) => lstatSync(join(root, path)).mtimeMs / 1000;
    expect(["", "d", "d/one", "d/again", "link", "efi"].map(time)).toEqual(Array(6).fill(epoch));
    expect(time("two")).toBe(early);
    expect(time("efi/elsewhere")).toBeGreaterThan(epoch);
  });

  it("makes no difference between what has been read and what has not", async () => {
    const root = tree();
    for (const [name, read] of [
      ["two", epoch - 500],
      ["d/one", epoch + 500],
    ] as const)
      utimesSync(join(root, name), read, epoch - 1000);
    settleTree(root, epoch, []);
    const times = (path: string) => {
      const { atimeMs, mtimeMs } = lstatSync(join(root, path));
      return [atimeMs / 1000, mtimeMs / 1000];
    };
    expect(["two", "d/one"].map(times)).toEqual(Array(2).fill([epoch, epoch - 1000]));
    expect(["", "d", "link"].map((path) => times(path)[0])).toEqual(Array(3).fill(epoch));
  });
});

describe("settleTimes", () => {
  it("turns later times back and rounds others down, and touches nothing that is settled", () => {
    const root = tree();
    const early = epoch - 1000;
    utimesSync(join(root, "two"), early - 0.5, early - 0.5);
    utimesSync(join(root, "d/one"), early, early);
    lutimesSync(join(root, "link"), epoch + 5, epoch + 5);
    settleTimes(root, epoch, Number.POSITIVE_INFINITY);
    const times = (path: string) => {
      const { atimeMs, mtimeMs } = lstatSync(join(root, path));
      return [atimeMs / 1000, mtimeMs / 1000];
    };
    // The time of its last reading is that of whoever read it.
    expect(["", "d", "efi", "efi/elsewhere", "link"].map((path) => times(path)[1])).toEqual(
      Array(5).fill(epoch),
    );
    expect(times("two")).toEqual([epoch, early - 1]);
    expect(times("d/one")).toEqual([early, early]);
    expect(lstatSync(join(root, "link")).isSymbolicLink()).toBe(true);
  });

  it("knows what was made since, though the clock is long past", () => {
    const root = tree();
    settleTimes(root, 2 ** 32, Date.now() / 1000 - 60);
    expect(lstatSync(join(root, "two")).mtimeMs / 1000).toBe(2 ** 32);
  });
});

describe("usageOfChanges", () => {
  it("counts what is written in whole blocks, and an inode for all but what only changes", () => {
    const some = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
    expect(
      usageOfChanges([
        { do: "mkdir", path: "/a", ...some },
        { do: "write", path: "/a/b", from: "/x", size: 4097, ...some },
        { do: "write", path: "/a/c", from: "/x", size: 4096, ...some },
        { do: "set", path: "/a", type: 0o040000, ...some },
      ]),
    ).toEqual({ bytes: 3 * 4096, inodes: 3 });
  });
});

describe("refuseOverfull", () => {
  const size = 1024 * mib;
  const room = size - size / 64 - size / 32;

  it("lets pass what fits, to the last byte and inode", () => {
    expect(() => refuseOverfull({ bytes: room, inodes: 65_536 }, size, 0, "/")).not.toThrow();
    expect(() => refuseOverfull({ bytes: room - mib, inodes: 1 }, size, mib, "/")).not.toThrow();
  });

  it("refuses with the numbers what does not", () => {
    expect(() => refuseOverfull({ bytes: room + 1, inodes: 1 }, size, 0, "/var")).toThrow(
      /^the files for \/var take 977 MiB, but its filesystem of 1024 MiB has room for 976 MiB$/,
    );
    expect(() => refuseOverfull({ bytes: room, inodes: 1 }, size, 64 * mib, "/")).toThrow(
      /has room for 912 MiB beside the swap file of 64 MiB$/,
    );
    expect(() => refuseOverfull({ bytes: 1, inodes: 65_537 }, size, 0, "/")).toThrow(
      "/ has 65537 files, but its filesystem has room for 65536",
    );
    expect(() => refuseOverfull({ bytes: mib, inodes: 1 }, 10 * mib, 20 * mib, "/")).toThrow(
      /has room for 0 MiB/,
    );
  });
});
