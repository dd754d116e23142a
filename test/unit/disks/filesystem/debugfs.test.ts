import { describe, expect, it } from "vitest";
import { debugfsScript } from "../../../../src/disks/filesystem/debugfs.ts";
import type { Change } from "../../../../src/disks/filesystem/tree-delta.ts";

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
      'write "/work/x ""y""" "a b"',
      'set_inode_field "/etc/a b" mode 0104755',
      'set_inode_field "/etc/a b" uid 7',
      'set_inode_field "/etc/a b" mtime @5',
      "",
    ]);
  });

  it("sets all of what was there before, and of what it makes no more than differs from debugfs' own", () => {
    const settled = { ...root, mtime: 9 };
    expect(
      debugfsScript([{ do: "write", path: "/a", from: "/x", size: 1, ...settled }], 9).split("\n"),
    ).toEqual(['cd "/"', 'write "/x" "a"', 'set_inode_field "/a" mode 0100644', ""]);
    expect(debugfsScript([{ do: "set", path: "/a", type: 0o100000, ...settled }], 9).split("\n")).toEqual([
      ...["mode 0100644", "uid 0", "gid 0", "atime @9", "mtime @9", "ctime @9", "crtime @9"].map(
        (field) => `set_inode_field "/a" ${field}`,
      ),
      ...["atime", "mtime", "ctime", "crtime"].map((time) => `set_inode_field "/a" ${time}_extra 0`),
      "",
    ]);
  });

  it("enters a directory again that was made anew", () => {
    const script = debugfsScript(
      [
        { do: "unlink", path: "/a/x" },
        { do: "rmdir", path: "/a" },
        { do: "mkdir", path: "/a", ...root },
        { do: "unlink", path: "/a/y" },
        { do: "unlink", path: "/a/z" },
      ],
      5,
    );
    const words = script.split("\n").filter((line) => !line.startsWith("set_inode_field"));
    expect(words).toEqual([
      ...['cd "/a"', 'rm "x"', 'cd "/"', 'rmdir "a"', 'mkdir "a"', 'cd "/a"', 'rm "y"', 'rm "z"', ""],
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
    for (const path of ["/etc/a\nrm b", "/<8>", "/etc/<12>x", `/${"x".repeat(9000)}`, `/${"é".repeat(4094)}`])
      expect(() => debugfsScript([{ do: "unlink", path }], 1), path).toThrow(
        /^debugfs has no (words|line) for/,
      );
    expect(debugfsScript([{ do: "unlink", path: "/etc/a<b" }], 1)).toContain('rm "a<b"');
  });
});
