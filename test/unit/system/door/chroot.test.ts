import { mkdirSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  chrootRun,
  eatmydata,
  toolFilter,
  toolRoom,
  toolRun,
  treeRoom,
  treeRun,
  withEatmydata,
} from "../../../../src/system/door/chroot.ts";
import { plainEnv } from "../../../../src/system/run/run.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

function tree(): string {
  const root = join(tempDir(), "tree");
  for (const name of ["dev", "proc", "run", "sys", "tmp", "etc"])
    mkdirSync(join(root, name), { recursive: true });
  writeFileSync(join(root, "etc/hostname"), "web\n");
  return root;
}

/** A base's tree, with the library or without. */
function base(library = true): string {
  const root = tempDir();
  mkdirSync(join(root, dirname(eatmydata)), { recursive: true });
  if (library) writeFileSync(join(root, eatmydata), "");
  return root;
}

/** Options that the door refuses before anything is started: a NUL in the environment. */
const refused = { env: { A: "\0" } };

describe("a program of a tree", () => {
  it("has the tree as its root directory, the kernel's interfaces upon it, and what is bound last", () => {
    const root = tree();
    const binds = [
      { from: "/a", to: "/srv/a" },
      { from: "/b", to: "/run/b", readOnly: true },
    ];
    const { layout, hostname, network } = treeRoom(root, binds, true);
    expect(layout.slice(0, 3)).toEqual(["--bind", root, "/"]);
    expect(layout.slice(-6)).toEqual(["--bind", "/a", "/srv/a", "--ro-bind", "/b", "/run/b"]);
    const inside = layout.slice(3, -6).join(" ");
    expect(inside).toContain("--proc /proc --remount-ro /proc");
    expect(inside).toContain("--tmpfs /sys --remount-ro /sys");
    expect({ hostname, network }).toEqual({ hostname: "web", network: true });
  });

  it("does not start in a tree without the places of the kernel's interfaces", async () => {
    const root = tree();
    rmdirSync(join(root, "proc"));
    await expect(chrootRun(root, ["true"], refused)).rejects.toThrow("/proc of the tree is missing");
  });

  it("leaves no place of a mount, however it ends", async () => {
    const root = tree();
    const binds = [
      { from: tempDir(), to: "/srv/a" },
      { from: join(root, "etc/hostname"), to: "/etc/resolv.conf" },
    ];
    await expect(chrootRun(root, ["true"], { binds, ...refused })).rejects.toThrow(/has a NUL/);
    expect(readdirSync(root)).not.toContain("srv");
    expect(readdirSync(join(root, "etc"))).toEqual(["hostname"]);
  });

  it("does not wait for the disk after every file where the base has the library for it", () => {
    const from = base();
    const bound = { from: join(from, eatmydata), to: "/run/imgbuild/libeatmydata.so", readOnly: true };
    expect(withEatmydata(from, { timeoutMs: 5 })).toEqual({
      timeoutMs: 5,
      binds: [bound],
      env: { ...plainEnv, LD_PRELOAD: bound.to },
    });
    const other = { from: "/a", to: "/b" };
    expect(withEatmydata(from, { binds: [other], env: { A: "1" } })).toEqual({
      binds: [other, bound],
      env: { A: "1", LD_PRELOAD: bound.to },
    });
  });

  it("is left as it is where the base has none, where there is no base, and where it is to run bare", () => {
    const options = { env: { A: "1" } };
    expect(withEatmydata(base(false), options)).toBe(options);
    expect(withEatmydata(undefined, options)).toBe(options);
    const bare = { ...options, bare: true };
    expect(withEatmydata(base(), bare)).toBe(bare);
  });

  it("goes through the door with the library or without", async () => {
    await expect(treeRun(tree(), undefined, ["true"], refused)).rejects.toThrow(/has a NUL/);
    await expect(treeRun(tree(), base(), ["true"], refused)).rejects.toThrow(/has a NUL/);
  });
});

describe("a tool of the base", () => {
  it("sees the base's programs and settings, read-only, and what it works on", () => {
    const { layout, hostname, network } = toolRoom("/base", [{ from: "/disk", to: "/work" }]);
    expect(layout.slice(0, 6)).toEqual(["--ro-bind", "/base/usr", "/usr", "--ro-bind", "/base/etc", "/etc"]);
    expect(layout.slice(-3)).toEqual(["--bind", "/disk", "/work"]);
    const inside = layout.slice(6, -3).join(" ");
    for (const name of ["bin", "sbin", "lib", "lib64"])
      expect(inside).toContain(`--symlink usr/${name} /${name}`);
    expect(inside).toContain("--dir /var --dir /root");
    expect(inside).toContain("--proc /proc");
    expect({ hostname, network }).toEqual({ hostname: "localhost", network: undefined });
  });

  it.each(["/usr/share/x", "/etc", "/usr"])("is not given %s, which lies upon its own files", async (to) => {
    const binds = [
      { from: "/a", to: "/work" },
      { from: "/b", to },
    ];
    await expect(toolRun("/base", ["true"], { binds })).rejects.toThrow(
      `${to} is where the tools' own files are`,
    );
  });

  it("goes through the door, as a filter too", async () => {
    const binds = [{ from: "/a", to: "/etcetera/usr" }];
    await expect(toolRun("/base", ["true"], { binds, ...refused })).rejects.toThrow(/has a NUL/);
    const filter = { input: [], ...refused } as unknown as Parameters<typeof toolFilter>[2];
    await expect(toolFilter("/base", ["true"], filter)).rejects.toThrow(/has a NUL/);
  });
});
