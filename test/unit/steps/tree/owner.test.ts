import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ownerIn, placeFor } from "../../../../src/steps/tree/owner.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

function tree(): string {
  const root = tempDir();
  for (const dir of ["etc", "usr/bin", "usr/lib"]) mkdirSync(join(root, dir), { recursive: true });
  symlinkSync("usr/bin", join(root, "bin"));
  symlinkSync("/usr/lib", join(root, "lib"));
  return root;
}

describe("ownerIn", () => {
  it("gives the numbers that the tree knows; root's before the tree knows any", () => {
    const root = tree();
    expect(ownerIn(root, "root", "root")).toEqual({ uid: 0, gid: 0 });
    writeFileSync(
      join(root, "etc/passwd"),
      "root:x:0:0::/root:/bin/sh\nwww-data:x:33:34:w:/var/www:/bin/sh\n",
    );
    writeFileSync(join(root, "etc/group"), "www:x:7:\nwww-data:x:35:\n");
    expect(ownerIn(root, "www-data", "www-data")).toEqual({ uid: 33, gid: 35 });
    expect(() => ownerIn(root, "www", "root")).toThrow("the tree has no user www");
    expect(() => ownerIn(root, "root", "nobody")).toThrow("the tree has no group nobody");
  });
});

describe("placeFor", () => {
  it("gives the tree, also for paths through the links of the merged /usr", () => {
    const root = tree();
    for (const path of ["/etc/hosts", "/bin/tool", "/lib/x"]) placeFor(root, path).write(path, path);
    expect(readFileSync(join(root, "etc/hosts"), "utf8")).toBe("/etc/hosts");
    expect(readFileSync(join(root, "usr/bin/tool"), "utf8")).toBe("/bin/tool");
    expect(readFileSync(join(root, "usr/lib/x"), "utf8")).toBe("/lib/x");
  });

  it.each([
    ["a link to elsewhere", "/srv/x", (root: string) => symlinkSync("/", join(root, "srv"))],
    ["a link inside of the tree", "/srv/x", (root: string) => symlinkSync("etc", join(root, "srv"))],
    ["a link that leads nowhere", "/srv/a/x", (root: string) => symlinkSync("gone", join(root, "srv"))],
    [
      "a link named as one of the merged /usr that is none",
      "/sbin/x",
      (root: string) => symlinkSync("/sbin", join(root, "sbin")),
    ],
    [
      "a merged link that is not at the top",
      "/etc/bin/x",
      (root: string) => symlinkSync("usr/bin", join(root, "etc/bin")),
    ],
  ])("refuses %s", (_what, path, prepare) => {
    const root = tree();
    prepare(root);
    expect(() => placeFor(root, path)).toThrow(/ is a symbolic link in the tree$/);
  });

  it.each(["/../x", "/etc/../../x", "/etc/..", "/etc/./x", "/.."])("refuses %s", (path) => {
    const root = join(tree(), "etc");
    expect(() => placeFor(root, path)).toThrow(/has no `.` and no `..`/);
  });

  it("refuses a way through a file, and makes nothing then", () => {
    const root = tree();
    writeFileSync(join(root, "etc/file"), "");
    expect(() => placeFor(root, "/etc/file/x")).toThrow(
      "/etc/file/x: /etc/file is not a directory in the tree",
    );
    expect(existsSync(join(root, "etc/file/x"))).toBe(false);
  });
});
