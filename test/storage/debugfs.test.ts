import { describe, expect, it } from "vitest";
import { debugfsScript, isTold } from "../../src/storage/debugfs.ts";
import type { Change } from "../../src/storage/tree-delta.ts";

const root = { mode: 0o644, uid: 0, gid: 0, mtime: 5 };

describe("debugfsScript", () => {
  it("writes files under their names, with owner, mode and times of their own", () => {
    const script = debugfsScript(
      [
        { do: "unlink", path: "/etc/a" },
        { do: "write", path: "/etc/a b", from: '/work/x "y"', size: 1, ...root, uid: 7, mode: 0o4755 },
      ],
      9,
    );
    expect(script.split("\n")).toEqual([
      'cd "/etc"',
      'rm "a"',
      'cd "/etc"',
      'write "/work/x ""y""" "a b"',
      'set_inode_field "/etc/a b" mode 0104755',
      'set_inode_field "/etc/a b" uid 7',
      'set_inode_field "/etc/a b" gid 0',
      ...["atime @9", "mtime @5", "ctime @9", "crtime @9"].map(
        (time) => `set_inode_field "/etc/a b" ${time}`,
      ),
      ...["atime", "mtime", "ctime", "crtime"].map((time) => `set_inode_field "/etc/a b" ${time}_extra 0`),
      "",
    ]);
  });

  it("makes and removes directories and links", () => {
    const lines = (change: Change) => debugfsScript([change], 1).split("\n").slice(0, 3);
    expect(lines({ do: "mkdir", path: "/new", ...root, mode: 0o755 })).toEqual([
      'cd "/"',
      'mkdir "new"',
      'set_inode_field "/new" mode 040755',
    ]);
    expect(lines({ do: "symlink", path: "/l", link: "../a b", ...root, mode: 0o777 })).toEqual([
      'cd "/"',
      'symlink "l" "../a b"',
      'set_inode_field "/l" mode 0120777',
    ]);
    expect(lines({ do: "rmdir", path: "/a/b" }).slice(0, 2)).toEqual(['cd "/a"', 'rmdir "b"']);
    expect(lines({ do: "set", path: "/", type: 0o040000, ...root, mode: 0o700 })[0]).toBe(
      'set_inode_field "/" mode 040700',
    );
  });

  it("has no words for what debugfs would take for something else", () => {
    for (const path of ["/etc/a\nrm b", "/<8>", "/etc/<12>x", `/${"x".repeat(5000)}`])
      expect(isTold([{ do: "unlink", path }]), path).toBe(false);
    expect(isTold([{ do: "unlink", path: "/etc/a<b" }])).toBe(true);
  });
});
