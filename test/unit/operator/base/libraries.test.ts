import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { libraryClosure, missingLibraries } from "../../../../src/operator/base/libraries.ts";
import { elf } from "../../../helpers/builders/elf.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const lib = "usr/lib/x86_64-linux-gnu";

/** Files by path → the libraries they need. */
function tree(files: Readonly<Record<string, readonly string[]>>): string {
  const root = tempDir();
  for (const dir of ["usr/bin", "usr/sbin", "usr/libexec", lib, "usr/lib/modules/6/kernel"])
    mkdirSync(join(root, dir), { recursive: true });
  for (const [path, needed] of Object.entries(files)) writeFileSync(join(root, path), elf(needed));
  return root;
}

describe("missingLibraries", () => {
  it("finds none where each program has what it needs, if only by a link", () => {
    const root = tree({ "usr/bin/a": ["libz.so.1"], [`${lib}/libz.so.1.3`]: [] });
    symlinkSync("libz.so.1.3", join(root, lib, "libz.so.1"));
    writeFileSync(join(root, "usr/bin/script"), "#!/bin/sh\n");
    expect(missingLibraries(root)).toEqual([]);
  });

  it("names each program and library that lacks one, but no kernel module", () => {
    const root = tree({
      "usr/sbin/b": ["libgone.so.1"],
      "usr/bin/a": ["libz.so.1"],
      [`${lib}/libz.so.1`]: ["libdeep.so.2"],
      "usr/lib/modules/6/kernel/x.ko": ["never"],
    });
    expect(missingLibraries(root)).toEqual([
      `/${lib}/libz.so.1 needs libdeep.so.2`,
      "/usr/sbin/b needs libgone.so.1",
    ]);
  });
});

describe("libraryClosure", () => {
  it("holds what is needed directly and indirectly, circles included, sorted", () => {
    const root = tree({
      "usr/sbin/kexec": ["libz.so.1", "libc.so.6"],
      [`${lib}/libz.so.1`]: ["libc.so.6"],
      [`${lib}/libc.so.6`]: ["ld-linux-x86-64.so.2"],
      [`${lib}/ld-linux-x86-64.so.2`]: ["libc.so.6"],
      [`${lib}/libother.so`]: [],
    });
    expect([...libraryClosure(root, "usr/sbin/kexec", [lib, "usr/lib"])]).toEqual([
      ["ld-linux-x86-64.so.2", `${lib}/ld-linux-x86-64.so.2`],
      ["libc.so.6", `${lib}/libc.so.6`],
      ["libz.so.1", `${lib}/libz.so.1`],
    ]);
  });

  it("refuses what the tree does not hold", () => {
    const root = tree({ "usr/sbin/kexec": ["libz.so.1"] });
    expect(() => libraryClosure(root, "usr/sbin/kexec", [lib])).toThrow(
      "usr/sbin/kexec needs libz.so.1, which the base's tree does not hold",
    );
  });
});
