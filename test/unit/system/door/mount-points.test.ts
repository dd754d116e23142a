import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkRoot, hostnameOf, readyMountPoints } from "../../../../src/system/door/mount-points.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

function tree(): string {
  const root = join(tempDir(), "tree");
  for (const name of ["dev", "proc", "run", "sys", "tmp", "etc"])
    mkdirSync(join(root, name), { recursive: true });
  return root;
}

describe("the places of mounts in a tree", () => {
  it("of the kernel's interfaces are directories, and no links", () => {
    const root = tree();
    checkRoot(root);
    for (const name of ["dev", "proc", "run", "sys", "tmp"]) {
      const bad = tree();
      execFileSync("rmdir", [join(bad, name)]);
      expect(() => checkRoot(bad)).toThrow(`/${name} of the tree is missing`);
      symlinkSync("/oldroot/tmp", join(bad, name));
      expect(() => checkRoot(bad)).toThrow(`/${name} of the tree is no directory`);
    }
  });

  it("are made where they are missing, and taken away", () => {
    const root = tree();
    const clear = readyMountPoints(root, [
      { to: "/srv/a/b", isDirectory: true },
      { to: "/etc/resolv.conf", isDirectory: false },
      { to: "/run/made/inside", isDirectory: false },
      { to: "/tmp/made", isDirectory: true },
      { to: "/dev/shm/made", isDirectory: true },
      { to: "/srv/run/", isDirectory: true },
    ]);
    expect(["run", "tmp", "dev"].map((name) => readdirSync(join(root, name)))).toEqual([[], [], []]);
    expect(lstatSync(join(root, "srv/run")).isDirectory()).toBe(true);
    expect(lstatSync(join(root, "etc/resolv.conf")).size).toBe(0);
    expect(lstatSync(join(root, "srv/a/b")).isDirectory()).toBe(true);
    expect(lstatSync(join(root, "etc/resolv.conf")).isFile()).toBe(true);
    clear();
    expect([readdirSync(root).sort(), readdirSync(join(root, "etc"))]).toEqual([
      ["dev", "etc", "proc", "run", "sys", "tmp"],
      [],
    ]);
  });

  it("stay where something was put into them meanwhile", () => {
    const root = tree();
    const clear = readyMountPoints(root, [{ to: "/srv/a", isDirectory: true }]);
    mkdirSync(join(root, "srv/a/kept"));
    clear();
    expect(readdirSync(join(root, "srv/a"))).toEqual(["kept"]);
  });

  it("that are there stay", () => {
    const root = tree();
    const file = join(root, "etc/resolv.conf");
    writeFileSync(file, "kept\n");
    readyMountPoints(root, [{ to: "/etc/resolv.conf", isDirectory: false }])();
    expect(readdirSync(join(root, "etc"))).toEqual(["resolv.conf"]);
  });

  it.each([
    ["the place itself", "etc/resolv.conf", "/etc/resolv.conf of the tree is no file"],
    ["a directory on the way", "etc", "/etc of the tree is no directory"],
  ])("follow no link of the tree: %s", (_what, link, message) => {
    const root = tree();
    const outside = tempDir();
    if (link === "etc") execFileSync("rmdir", [join(root, "etc")]);
    symlinkSync(link === "etc" ? outside : join(outside, "made"), join(root, link));
    const places = [{ to: "/etc/resolv.conf", isDirectory: false }];
    expect(() => readyMountPoints(root, places)).toThrow(message);
    expect(readdirSync(outside)).toEqual([]);
  });
});

describe("the host name of a tree", () => {
  it("is that of its file, if it is a name", () => {
    for (const [text, name] of [
      ["web\n", "web"],
      ["web.example.org", "web.example.org"],
      ["", "localhost"],
      ["a b\n", "localhost"],
      ["-x\n", "localhost"],
      [`${"a".repeat(65)}\n`, "localhost"],
    ] as const) {
      const root = tree();
      writeFileSync(join(root, "etc/hostname"), text);
      expect(hostnameOf(root)).toBe(name);
    }
    expect(hostnameOf(tree())).toBe("localhost");
  });

  it("is looked for in a file of up to 1024 bytes", () => {
    const root = tree();
    const named = (size: number) => {
      writeFileSync(join(root, "etc/hostname"), "web".padEnd(size));
      return hostnameOf(root);
    };
    expect([named(1024), named(1025)]).toEqual(["web", "localhost"]);
  });

  it("is not asked for where the way to its file is none", () => {
    const root = tree();
    execFileSync("rmdir", [join(root, "etc")]);
    symlinkSync("etc", join(root, "etc"));
    expect(hostnameOf(root)).toBe("localhost");
  });

  it("is not read through a link, and does not wait for a pipe", () => {
    const root = tree();
    const outside = join(tempDir(), "secret");
    writeFileSync(outside, "secret\n");
    symlinkSync(outside, join(root, "etc/hostname"));
    expect(hostnameOf(root)).toBe("localhost");
    const other = tree();
    execFileSync("mkfifo", [join(other, "etc/hostname")]);
    expect(hostnameOf(other)).toBe("localhost");
  });
});
