import { describe, expect, it } from "vitest";
import { formatLock, lockedVersions, parseLock } from "../../../../src/debian/lock/lock.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { lockedPackage, lockOf } from "../../../helpers/builders/lock.ts";

const sha = (digit: string) => digit.repeat(64);

// Versions and sums that YAML would read as numbers, times or nothing when they were not quoted.
const tricky = lockOf([
  lockedPackage("base-files", "1.10", { bootstrap: true, sha256: "0".repeat(64) }),
  lockedPackage("lib", "1e3", { sha256: `1e${"5".repeat(62)}` }),
  lockedPackage("a.b", "0x10", { requested: true, archive: "debian-security" }),
  lockedPackage("c++", "12:30:45", { depends: ["e1"] }),
  lockedPackage("d1", "2024-06-01"),
  lockedPackage("e1", "2:1.0~rc1+dfsg-1"),
]);

describe("formatLock", () => {
  it("writes what parseLock reads, sorted by name, and read in the order of unpacking", () => {
    const read = parseLock(formatLock(tricky));
    expect(read.packages.map(({ name }) => name)).toEqual(["base-files", "a.b", "e1", "c++", "d1", "lib"]);
    expect(new Set(read.packages)).toEqual(new Set(tricky.packages));
    expect({ ...read, packages: [] }).toEqual({ ...tricky, packages: [] });
    const names = [...formatLock(tricky).matchAll(/^ {2}- name: (.*)$/gm)].map(([, name]) => name);
    expect(names).toEqual(["a.b", "base-files", "c++", "d1", "e1", "lib"]);
  });

  it("puts a package that is added into a place of its own, and no other line changes", () => {
    const before = formatLock(tricky).split("\n");
    const added = lockedPackage("bb", "1.0", { depends: ["lib"] });
    const after = formatLock(lockOf([...tricky.packages, added])).split("\n");
    const start = after.indexOf("  - name: bb");
    expect([...after.slice(0, start), ...after.slice(start + 8)]).toEqual(before);
    expect(after.slice(start, start + 8)).toContain("    depends: [lib]");
  });

  it("writes the same bytes for the same lock", () => {
    expect(formatLock(parseLock(formatLock(tricky)))).toBe(formatLock(tricky));
  });

  it("keeps each value on a line, and leaves out marks that are false", () => {
    const text = formatLock(lockOf([lockedPackage("a1", "1.0", { path: `pool/${"x".repeat(200)}.deb` })]));
    expect(text).toMatch(/^# .*\nversion: 2\n/);
    expect(text).toContain(`    path: pool/${"x".repeat(200)}.deb\n`);
    expect(text).not.toMatch(/requested|bootstrap/);
  });
});

describe("parseLock", () => {
  const good = formatLock(lockOf([lockedPackage("app", "1.0")]));
  const path = (to: string) => good.replace("pool/main/app_1.0.deb", to);

  it.each([
    ["an absolute URL", path("http://example.org/app.deb"), /packages\.0\.path/],
    ["an absolute path", path("/pool/app.deb"), /packages\.0\.path/],
    ["a path upwards", path("pool/../../app.deb"), /packages\.0\.path/],
    ["a path upwards that a URL parser undoes", path("pool/%2e%2E/app.deb"), /packages\.0\.path/],
    ["a path with an empty part", path("pool//app.deb"), /packages\.0\.path/],
    ["a path with a query", path("pool/app.deb?x.deb"), /packages\.0\.path/],
    ["another file's path", path("pool/app.html"), /packages\.0\.path/],
    ["an unknown key", good.replace("    size: 100", "    size: 100\n    url: x"), /packages\.0: .*"url"/],
    ["an unknown key above", `${good}extra: 1\n`, /"extra"/],
    ["a repeated key", `${good}version: 2\n`, /not YAML.*unique/s],
    ["an unknown version", good.replace("version: 2\n", "version: 3\n"), /version/],
    ["an older form", good.replace("version: 2\n", "version: 1\n"), /of an older imgbuild/],
    ["a short sum", good.replace(sha("a"), "aa"), /packages\.0\.sha256/],
    ["a sum in capitals", good.replace(sha("a"), sha("A")), /packages\.0\.sha256/],
    ["a size of nothing", good.replace("size: 100", "size: 0"), /packages\.0\.size/],
    ["a name that is an option", good.replace("name: app", "name: -app"), /packages\.0\.name/],
    ["a version with a space", good.replace('"1.0"', '"1 0"'), /packages\.0\.version/],
    [
      "another architecture",
      good.replace("    architecture: amd64", "    architecture: arm64"),
      /packages\.0\.architecture/,
    ],
    ["no packages", good.replace(/packages:[\s\S]*/, "packages: []\n"), /packages/],
    ["no signer", good.replace(/signedBy:\n.*\n/, "signedBy: []\n"), /signedBy/],
    ["nothing", "", /./],
    ["text that is no YAML", "a: [", /not YAML/],
    ["a tag", "!!js/function 'x'", /./],
    ["more than a lock can be", `#${"x".repeat(17 * 1024 * 1024)}`, /larger than/],
  ])("refuses %s", (_name, text, message) => {
    expect(text).not.toBe(good);
    const parse = () => parseLock(text);
    expect(parse).toThrow(Fail);
    expect(parse).toThrow(message);
  });
});

describe("lockedVersions", () => {
  it("reads what can be kept of any lock, of an older form too", () => {
    const text = formatLock(tricky);
    const expected = new Map(tricky.packages.map(({ name, version, sha256 }) => [name, { version, sha256 }]));
    expect(lockedVersions(text)).toEqual(expected);
    expect(lockedVersions(text.replace("version: 2", "version: 1"))).toEqual(expected);
    for (const nothing of ["", "[", "packages: 1", "packages: [1, null, {}]"])
      expect(lockedVersions(nothing), nothing).toEqual(new Map());
  });
});
