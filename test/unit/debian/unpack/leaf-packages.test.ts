import { describe, expect, it } from "vitest";
import { isActivePackage, leavesOf } from "../../../../src/debian/unpack/leaf-packages.ts";
import type { LockedPackage } from "../../../../src/schema/lock.ts";

const mib = 1024 * 1024;

function locked(
  name: string,
  depends: readonly string[] = [],
  size = 1000,
  bootstrap = false,
): LockedPackage {
  return {
    name,
    version: "1.0",
    architecture: "amd64",
    archive: "debian",
    path: `pool/${name}.deb`,
    size,
    sha256: "0".repeat(64),
    depends: [...depends],
    requested: false,
    bootstrap,
  };
}

const active =
  (...names: string[]) =>
  (one: LockedPackage) =>
    names.includes(one.name);
const leaves = (packages: readonly LockedPackage[], ...names: string[]) => [
  ...leavesOf(packages, active(...names)),
];

describe("leavesOf", () => {
  const base = [locked("libc6", [], 1000, true), locked("libz", ["libc6"])];

  it("are packages without scripts upon which none with a script depends, over others too", () => {
    const packages = [
      ...base,
      locked("libpcre", ["libc6"]),
      locked("libonig", ["libc6"]),
      locked("libjq", ["libonig"]),
      locked("jq", ["libjq", "libz"]),
      locked("helper", ["libpcre"]),
      locked("nginx", ["helper", "libz"]),
    ];
    expect(leaves(packages, "nginx").sort()).toEqual(["jq", "libjq", "libonig"]);
  });

  it("stay leaves, and leave the others as they are, when one is added", () => {
    const one = [...base, locked("nginx", ["libz"]), locked("tree", ["libc6"])];
    const two = [...one, locked("jq", ["libc6"])];
    const ground = (packages: readonly LockedPackage[]) =>
      packages.map(({ name }) => name).filter((name) => !leaves(packages, "nginx").includes(name));
    expect(ground(two)).toEqual(ground(one));
  });

  it("are none among what a ground without them has: it comes in the same two parts again", () => {
    const packages = [...base, locked("nginx", ["libz"]), locked("tree", ["libc6"])];
    const found = new Set(leaves(packages, "nginx"));
    expect(
      leaves(
        packages.filter(({ name }) => !found.has(name)),
        "nginx",
      ),
    ).toEqual([]);
  });

  it("are small: a large package is ground, and what it depends on; and of many the largest are", () => {
    const large = [...base, locked("libbig", []), locked("big", ["libbig"], 5 * mib), locked("tree", [])];
    expect(leaves(large).sort()).toEqual(["libz", "tree"]);
    const many = Array.from({ length: 12 }, (_none, index) => locked(`p${index}`, [], 3 * mib + index));
    expect(leaves(many)).toEqual(many.slice(0, 10).map(({ name }) => name));
  });

  it("are none in a lock that does not say what depends on what", () => {
    const { depends: _, ...unknown } = locked("tree");
    expect(leaves([unknown])).toEqual([]);
  });
});

describe("isActivePackage", () => {
  const control = (files: Record<string, string>) =>
    new Map(Object.entries(files).map(([name, text]) => [name, { bytes: Buffer.from(text), mode: 0o644 }]));

  it("tells what runs when it is installed from what does not", () => {
    expect(isActivePackage(control({ control: "", md5sums: "", conffiles: "/etc/x", shlibs: "" }))).toBe(
      false,
    );
    for (const name of ["preinst", "postinst", "config", "templates"])
      expect(isActivePackage(control({ control: "", [name]: "" }))).toBe(true);
    expect(isActivePackage(control({ triggers: "activate-noawait ldconfig\n" }))).toBe(false);
    expect(isActivePackage(control({ triggers: "# x\ninterest-noawait /usr/share/man\n" }))).toBe(true);
  });
});
