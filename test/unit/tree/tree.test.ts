import { execFileSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Tree } from "../../../src/tree/tree.ts";
import { watchTrees } from "../../../src/tree/walk.ts";
import { Fail } from "../../../src/util/fail.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

/** A tree as Debian lays it out, and a place outside that no test of it may come to. */
function made(): { readonly tree: Tree; readonly root: string; readonly outside: string } {
  const dir = tempDir();
  const [root, outside] = [join(dir, "tree"), join(dir, "outside")];
  for (const path of ["etc", "usr/lib", "run/lock", "var/lib", "tmp"])
    mkdirSync(join(root, path), { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(outside, "canary"), "outside");
  writeFileSync(join(root, "usr/lib/os-release"), "ID=debian\n");
  symlinkSync("usr/lib", join(root, "lib"));
  symlinkSync("/run", join(root, "var/run"));
  symlinkSync("../usr/lib/os-release", join(root, "etc/os-release"));
  return { tree: new Tree(root), root, outside };
}

describe("a tree's paths", () => {
  it.each([
    ["/etc/os-release", "/usr/lib/os-release"],
    ["etc/os-release", "/usr/lib/os-release"],
    ["/lib/os-release", "/usr/lib/os-release"],
    ["/var/run/lock", "/run/lock"],
    ["/var/run/../etc", "/etc"],
    ["/../../../etc", "/etc"],
    ["/", "/"],
    ["/..", "/"],
    ["/var/lib/../../usr/./lib//os-release", "/usr/lib/os-release"],
    ["/etc/none", "/etc/none"],
  ])("lead on as in the system: %s to %s", (path, real) => {
    expect(made().tree.real(path)).toBe(real);
  });

  it("never lead out, whatever links say", () => {
    const { tree, root, outside } = made();
    symlinkSync(outside, join(root, "absolute"));
    symlinkSync("../../../../../../../../../..", join(root, "up"));
    symlinkSync("/proc/self/root", join(root, "root"));
    expect(tree.read("/absolute/canary")).toBeUndefined();
    expect(tree.read(`/up${outside}/canary`)).toBeUndefined();
    expect(tree.read(`/root${outside}/canary`)).toBeUndefined();
    expect(tree.list("/up").sort()).toEqual(readdirSync(root).sort());
    // As in the system, to which the link names a directory that it does not have.
    tree.makeDirectories(`${outside}`);
    tree.write("/absolute/canary", "inside");
    expect(readFileSync(join(root, outside, "canary"), "utf8")).toBe("inside");
    expect(readFileSync(join(outside, "canary"), "utf8")).toBe("outside");
  });

  it("refuse links that go in a circle, and take as many as the kernel", () => {
    const { tree, root } = made();
    symlinkSync("round", join(root, "round"));
    for (const work of [
      () => tree.read("/round"),
      () => tree.write("/round/x", ""),
      () => tree.list("/round"),
    ])
      expect(work).toThrow(/^\/round.*: its symbolic links go in a circle in the tree$/);
    for (let at = 0; at < 41; at += 1) symlinkSync(at === 0 ? "etc" : `l${at - 1}`, join(root, `l${at}`));
    expect(tree.real("/l39")).toBe("/etc");
    expect(() => tree.real("/l40")).toThrow(Fail);
  });

  it("are named as they are in the tree by what the system refuses", () => {
    const { tree, root } = made();
    let error: unknown;
    try {
      tree.write("/none/file", "");
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: "ENOENT", path: join(root, "none/file") });
    expect((error as Error).message).not.toContain("/proc/");
  });

  it("are told to whoever watches, until that ends", () => {
    const { tree, root } = made();
    const seen: string[][] = [];
    const end = watchTrees((...one) => seen.push(one));
    tree.text("/etc/os-release");
    end();
    tree.text("/etc/passwd");
    expect(seen).toEqual([[root, "/etc/os-release"]]);
  });

  it("lead where they led when they were opened, whatever becomes of names", () => {
    const { tree, root, outside } = made();
    tree.makeDirectories("/usr/staging");
    const held = tree.hold("/usr/staging");
    renameSync(join(root, "usr/staging"), join(root, "usr/moved"));
    symlinkSync(outside, join(root, "usr/staging"));
    new Tree(held.path).write("/file", "held");
    held.close();
    expect(readFileSync(join(root, "usr/moved/file"), "utf8")).toBe("held");
    expect(readdirSync(outside)).toEqual(["canary"]);
  });
});

describe("what is at the end of a path", () => {
  it("is replaced by a new file, closed until it has its mode, and no link is followed", () => {
    const { tree, root, outside } = made();
    for (const [name, link] of [
      ["file", join(outside, "canary")],
      ["inner", "../usr/lib/os-release"],
      ["dangling", "nowhere"],
    ] as const) {
      symlinkSync(link, join(root, "etc", name));
      tree.write(`/etc/${name}`, "mine", { mode: 0o640 });
      expect(lstatSync(join(root, "etc", name)).mode).toBe(0o100640);
      tree.symlink(`/etc/${name}`, "x");
      expect(readlinkSync(join(root, "etc", name))).toBe("x");
    }
    expect(readFileSync(join(outside, "canary"), "utf8")).toBe("outside");
    expect(tree.text("/etc/os-release")).toBe("ID=debian\n");
    expect(() => tree.write("/etc", "")).toThrow("/etc is a directory in the tree, not a file");
  });

  it("keeps owner, mode and inode where it is only given new content, and a link is refused", () => {
    const { tree, root, outside } = made();
    writeFileSync(join(root, "etc/kept"), "long content", { mode: 0o604 });
    const before = lstatSync(join(root, "etc/kept"));
    tree.rewrite("/etc/kept", "new");
    tree.append("/etc/kept", " more");
    expect(readFileSync(join(root, "etc/kept"), "utf8")).toBe("new more");
    expect(lstatSync(join(root, "etc/kept"))).toMatchObject({ ino: before.ino, mode: before.mode });
    symlinkSync(join(outside, "canary"), join(root, "etc/link"));
    for (const work of [
      () => tree.rewrite("/etc/link", ""),
      () => tree.append("/etc/link", "x"),
      () => tree.chmod("/etc/link", 0o777),
    ])
      expect(work).toThrow("/etc/link is a symbolic link in the tree");
    tree.utimes("/etc/link", 1, 1);
    expect(lstatSync(join(outside, "canary")).mtimeMs).not.toBe(1000);
    expect(lstatSync(join(root, "etc/link")).mtimeMs).toBe(1000);
  });

  it("is another file as a whole where it is renewed, with its mode, and nothing is left beside it", () => {
    const { tree, root, outside } = made();
    tree.write("/etc/loader", "the old one, which is longer", { mode: 0o600 });
    writeFileSync(join(root, "etc/loader.new"), "left by a power cut");
    const before = lstatSync(join(root, "etc/loader")).ino;
    tree.renew("/etc/loader", "the new one");
    const found = lstatSync(join(root, "etc/loader"));
    expect([tree.text("/etc/loader"), found.mode & 0o777]).toEqual(["the new one", 0o600]);
    expect(found.ino).not.toBe(before);
    expect(existsSync(join(root, "etc/loader.new"))).toBe(false);
    expect(() => tree.renew("/etc/none", "x")).toThrow("ENOENT");
    symlinkSync(join(outside, "canary"), join(root, "etc/out"));
    for (const write of [
      () => tree.renew("/etc/out", "x"),
      () => tree.overwrite("/etc/out", Buffer.from("x")),
    ])
      expect(write).toThrow();
    expect(readFileSync(join(outside, "canary"), "utf8")).toBe("outside");
  });

  it("is overwritten from its beginning, and what follows stays", () => {
    const { tree, root } = made();
    tree.write("/etc/menu", "first=yes\nsecond\n");
    const before = lstatSync(join(root, "etc/menu")).ino;
    tree.overwrite("/etc/menu", Buffer.from("first=no \n"));
    expect(tree.text("/etc/menu")).toBe("first=no \nsecond\n");
    expect(lstatSync(join(root, "etc/menu")).ino).toBe(before);
  });

  it("goes with all that is in it, and what links in it lead to stays", () => {
    const { tree, root, outside } = made();
    symlinkSync(outside, join(root, "tmp/link"));
    mkdirSync(join(root, "tmp/a/b"), { recursive: true });
    symlinkSync("/usr", join(root, "tmp/a/b/usr"));
    // A name that is no text.
    execFileSync("sh", ["-c", 'touch "$1/$(printf "\\377x")"', "sh", join(root, "tmp/a/b")]);
    writeFileSync(join(root, "tmp/kept"), "");
    tree.clear("/tmp", ["kept"]);
    expect(readdirSync(join(root, "tmp"))).toEqual(["kept"]);
    tree.clear("/var/run");
    expect(existsSync(join(root, "run/lock"))).toBe(true);
    tree.remove("/var/run");
    tree.remove("/var/run");
    expect(tree.stat("/var/run")).toBeUndefined();
    expect(readdirSync(outside)).toEqual(["canary"]);
    expect(existsSync(join(root, "usr/lib"))).toBe(true);
  });

  it("is read when it is a regular file: a pipe would keep us waiting, and a device is the machine's", () => {
    const { tree, root } = made();
    execFileSync("mkfifo", [join(root, "etc/pipe")]);
    for (const work of [
      () => tree.read("/etc/pipe"),
      () => tree.rewrite("/etc/pipe", ""),
      () => tree.read("/etc"),
    ])
      expect(work).toThrow(/ is no regular file in the tree$/);
    tree.write("/etc/pipe", "now a file");
    expect(tree.text("/etc/pipe")).toBe("now a file");
  });

  it("is nothing where a part of the way is missing or no directory", () => {
    const { tree } = made();
    for (const path of ["/none", "/none/x", "/usr/lib/os-release/x"])
      expect([tree.stat(path), tree.find(path), tree.read(path), tree.link(path), tree.list(path)]).toEqual([
        ...[undefined, undefined, undefined, undefined, []],
      ]);
    expect(() => tree.directory("/usr/lib/os-release")).toThrow(/ENOTDIR/);
  });

  it("is copied and linked by its content, whose links are those of the tree it is in", () => {
    const { tree, root, outside } = made();
    const other = Tree.make(join(root, "../other"));
    writeFileSync(join(root, "etc/x"), "x", { mode: 0o751 });
    tree.utimes("/etc/x", 5, 7);
    tree.copySame("/etc/x", other);
    expect(lstatSync(join(other.root, "etc/x"))).toMatchObject({ mode: 0o100751, mtimeMs: 7000 });
    tree.copySame("/etc/os-release", other);
    expect(readlinkSync(join(other.root, "etc/os-release"))).toBe("../usr/lib/os-release");
    symlinkSync(outside, join(other.root, "out"));
    expect(() => tree.copy("/etc/os-release", other, "/out/os-release")).not.toThrow();
    expect(readdirSync(outside)).toEqual(["canary"]);
    tree.hardLink("/etc/y", join(root, "etc/x"));
    linkSync(join(root, "etc/x"), join(root, "etc/z"));
    tree.rename("/etc/z", "/var/run/z");
    expect(lstatSync(join(root, "run/z")).nlink).toBe(3);
  });
});

describe("a tree below another", () => {
  it("is where links of the outer one lead, and else the directory itself, which is made", () => {
    const { root, outside } = made();
    symlinkSync(outside, join(root, "efi"));
    new Tree(root).makeDirectories(outside);
    expect(Tree.within(root, join(root, "efi")).root).toBe(join(root, outside));
    const beside = join(root, "../esp");
    expect(Tree.within(root, beside).root).toBe(beside);
    expect(existsSync(beside)).toBe(true);
  });
});
