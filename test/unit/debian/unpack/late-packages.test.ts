import { describe, expect, it } from "vitest";
import { splitLate } from "../../../../src/debian/unpack/late-packages.ts";
import type { LockedPackage } from "../../../../src/schema/lock.ts";

const mib = 1024 * 1024;
const one = (name: string, sizeMib: number, depends?: string[]): LockedPackage => ({
  name,
  version: "1",
  architecture: "amd64",
  archive: "debian",
  path: `pool/${name}.deb`,
  size: sizeMib * mib,
  sha256: "0".repeat(64),
  requested: false,
  bootstrap: false,
  ...(depends === undefined ? {} : { depends }),
});
const late = (packages: readonly LockedPackage[]) => splitLate(packages).late.map(({ name }) => name);

describe("splitLate", () => {
  it("sets a kernel apart with what depends on it, over others too", () => {
    const packages = [
      one("base", 1),
      one("image-6", 100, ["base"]),
      one("image", 1, ["image-6"]),
      one("meta", 1, ["image"]),
      one("web", 2, ["base"]),
    ];
    expect(late(packages)).toEqual(["image-6", "image", "meta"]);
    expect(splitLate(packages).soon.map(({ name }) => name)).toEqual(["base", "web"]);
  });

  it("leaves a heavy package that many need where it is, and small ones", () => {
    const users = Array.from({ length: 8 }, (_, index) => one(`user${index}`, 1, ["runtime"]));
    expect(late([one("runtime", 60, []), ...users])).toEqual([]);
    expect(late([one("small", 3, [])])).toEqual([]);
  });

  it("sets nothing apart where nobody says what needs what", () => {
    expect(late([one("image", 100), one("web", 1)])).toEqual([]);
  });
});
