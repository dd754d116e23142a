import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { globTree, pruneTree } from "../../../../src/operator/base/prune.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

function tree(): { root: string; outside: string } {
  const root = tempDir();
  const outside = tempDir();
  for (const dir of ["usr/share/doc/bash", "usr/share/locale/de", "usr/share/locale/en", "usr/lib/x.y"])
    mkdirSync(join(root, dir), { recursive: true });
  for (const file of ["usr/share/doc/bash/README", "usr/lib/a.so", "usr/lib/axso", "usr/lib/b.so"])
    writeFileSync(join(root, file), "");
  writeFileSync(join(outside, "precious"), "");
  symlinkSync(outside, join(root, "usr/share/out"));
  return { root, outside };
}

describe("globTree", () => {
  it.each([
    ["/usr/share/doc", ["/usr/share/doc"]],
    ["/usr/share/locale/*", ["/usr/share/locale/de", "/usr/share/locale/en"]],
    ["/usr/*/*.so", ["/usr/lib/a.so", "/usr/lib/b.so"]],
    ["/usr/lib/a.so", ["/usr/lib/a.so"]],
    ["/usr/lib/x.*", ["/usr/lib/x.y"]],
    ["/usr/share/gone/*", []],
    ["/usr/lib/a.so/*", []],
  ])("%s names %j", (glob, paths) => {
    expect(globTree(tree().root, glob)).toEqual(paths);
  });

  it("names a link but nothing behind it", () => {
    const { root } = tree();
    expect(globTree(root, "/usr/share/o*")).toEqual(["/usr/share/out"]);
    expect(globTree(root, "/usr/share/out/*")).toEqual([]);
  });

  it.each(["/", "", "/usr/../etc", "/usr/./share", "/usr/**/doc"])("refuses %j", (glob) => {
    expect(() => globTree(tree().root, glob)).toThrow(/^glob .*: accepted is an absolute path/);
  });
});

describe("pruneTree", () => {
  it("removes what is named, with all below, and never what a link leads to", () => {
    const { root, outside } = tree();
    pruneTree(root, ["/usr/share/doc", "/usr/share/o*", "/usr/share/locale/d*", "/usr/share/nothing"]);
    expect(readdirSync(join(root, "usr/share"))).toEqual(["locale"]);
    expect(readdirSync(join(root, "usr/share/locale"))).toEqual(["en"]);
    expect(existsSync(join(outside, "precious"))).toBe(true);
  });
});
