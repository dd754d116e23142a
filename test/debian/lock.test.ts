import { describe, expect, it } from "vitest";
import { diffLocks, formatLock, parseLock, requestDigest } from "../../src/debian/lock.ts";
import { Lock } from "../../src/schema/lock.ts";
import { Spec } from "../../src/schema/spec.ts";
import { Fail } from "../../src/util/fail.ts";

const sha = (digit: string) => digit.repeat(64);

function lockedPackage(name: string, version: string, more: object = {}) {
  return {
    name,
    version,
    architecture: "amd64",
    archive: "debian",
    path: `pool/main/${name}_${version}.deb`,
    size: 100,
    sha256: sha("a"),
    ...more,
  };
}

function lockOf(packages: readonly object[]): Lock {
  return Lock.parse({
    version: 1,
    request: sha("1"),
    indices: [
      {
        archive: "debian",
        suite: "trixie",
        codename: "trixie",
        date: "2024-06-01T00:00:00.000Z",
        inRelease: sha("2"),
        signedBy: ["A".repeat(40)],
      },
    ],
    packages,
  });
}

// Versions and sums that YAML would read as numbers, times or nothing when they were not quoted.
const tricky = lockOf([
  lockedPackage("base-files", "1.10", { bootstrap: true, sha256: "0".repeat(64) }),
  lockedPackage("lib", "1e3", { sha256: `1e${"5".repeat(62)}` }),
  lockedPackage("a.b", "0x10", { requested: true, archive: "debian-security" }),
  lockedPackage("c++", "12:30:45"),
  lockedPackage("d1", "2024-06-01"),
  lockedPackage("e1", "2:1.0~rc1+dfsg-1"),
]);

describe("formatLock", () => {
  it("writes what parseLock reads", () => {
    expect(parseLock(formatLock(tricky))).toEqual(tricky);
  });

  it("writes the same bytes for the same lock", () => {
    expect(formatLock(parseLock(formatLock(tricky)))).toBe(formatLock(tricky));
  });

  it("keeps each value on a line, and leaves out marks that are false", () => {
    const text = formatLock(lockOf([lockedPackage("a1", "1.0", { path: `pool/${"x".repeat(200)}.deb` })]));
    expect(text).toMatch(/^# .*\nversion: 1\n/);
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
    ["a repeated key", `${good}version: 1\n`, /not YAML.*unique/s],
    ["an unknown version", good.replace("version: 1\n", "version: 2\n"), /version/],
    ["a short sum", good.replace(sha("a"), "aa"), /packages\.0\.sha256/],
    ["a sum in capitals", good.replace(sha("a"), sha("A")), /packages\.0\.sha256/],
    ["a size of nothing", good.replace("size: 100", "size: 0"), /packages\.0\.size/],
    ["a name that is an option", good.replace("name: app", "name: -app"), /packages\.0\.name/],
    ["a version with a space", good.replace('"1.0"', '"1 0"'), /packages\.0\.version/],
    ["another architecture", good.replace("amd64", "arm64"), /packages\.0\.architecture/],
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

describe("requestDigest", () => {
  const request = (change: object = {}) =>
    requestDigest(Spec.parse({ hostname: "a", packages: { install: ["b1", "a1"] }, ...change }));

  it("does not mind order, repetition, mirror and what is pruned", () => {
    expect(request({ packages: { install: ["a1", "b1", "a1"], prune: ["/usr/share/doc/*"] } })).toBe(
      request(),
    );
    expect(request({ system: { mirror: "http://example.org/debian" } })).toBe(request());
  });

  it.each([
    [{ packages: { install: ["a1"] } }],
    [{ packages: { install: ["a1", "b1"], recommends: true } }],
    [{ system: { suite: "bookworm" } }],
    [{ system: { components: ["main", "contrib"] } }],
  ])("changes with %j", (change) => {
    expect(request(change)).not.toBe(request());
  });
});

describe("diffLocks", () => {
  it("tells what came, went and changed, by name", () => {
    const old = lockOf([lockedPackage("a1", "1.0"), lockedPackage("b1", "1.10"), lockedPackage("c1", "1")]);
    const fresh = lockOf([
      lockedPackage("d1", "3", { archive: "debian-security" }),
      lockedPackage("b1", "1.9"),
      lockedPackage("a1", "1.0+deb13u1", { archive: "debian-security" }),
    ]);
    expect(diffLocks(old, fresh)).toEqual([
      "a1 1.0 → 1.0+deb13u1 (security)",
      "DOWN b1 1.10 → 1.9",
      "- c1 1",
      "+ d1 3 (security)",
    ]);
  });

  it("says nothing of a first or an equal lock", () => {
    expect(diffLocks(undefined, tricky)).toEqual([]);
    expect(diffLocks(tricky, parseLock(formatLock(tricky)))).toEqual([]);
  });
});
