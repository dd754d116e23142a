import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compareLock, signedDigest } from "../../../../src/debian/lock/compare-lock.ts";
import { PackageTable } from "../../../../src/debian/package/package-table.ts";
import { tableVersion, tabulate } from "../../../../src/debian/package/packages-file.ts";
import type { LockedPackage } from "../../../../src/schema/lock.ts";
import { candidate, packagesText, trixie } from "../../../helpers/builders/candidate.ts";
import { locked } from "../../../helpers/builders/deployable.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const signed = ["bash", "nginx"].map((name) => candidate(name, { version: "1.0" }));
const text = tabulate(packagesText(signed), "amd64");
const tables = [new PackageTable(text, trixie)];
const lockedAs = (name: string, change: Partial<LockedPackage> = {}): LockedPackage => {
  const { version, path, size, sha256, architecture } = signed.find((one) => one.name === name)!;
  return {
    ...locked(name),
    archive: "debian",
    suite: "trixie",
    version,
    path,
    size,
    sha256,
    architecture,
    ...change,
  };
};

describe("compareLock", () => {
  it("finds nothing where lock and signed index agree", () => {
    expect(compareLock({ packages: [lockedAs("bash"), lockedAs("nginx")] }, tables)).toEqual({
      ...{ differences: [], names: [], missing: 0 },
    });
  });

  it("names each package of which the lock says something else", () => {
    const packages = [
      lockedAs("bash", { sha256: "f".repeat(64) }),
      lockedAs("nginx", { path: "pool/x.deb", size: 7 }),
    ];
    expect(compareLock({ packages }, tables)).toEqual({
      differences: [
        "bash 1.0: another SHA-256 than in the signed index of trixie",
        "nginx 1.0: another size and path than in the signed index of trixie",
      ],
      names: ["bash", "nginx"],
      missing: 0,
    });
  });

  it("counts versions that the archive does not have any more, and leaves out the definition's own files", () => {
    const packages = [
      lockedAs("bash", { version: "0.9", sha256: "f".repeat(64) }),
      lockedAs("nginx", { archive: "local" }),
    ];
    expect(compareLock({ packages }, tables)).toMatchObject({ differences: [], missing: 1 });
  });
});

describe("signedDigest", () => {
  it("is what an index of the cache says of that version", async () => {
    const cache = tempDir();
    expect(await signedDigest(cache, lockedAs("bash"))).toBeUndefined();
    mkdirSync(join(cache, "index"));
    writeFileSync(join(cache, "index", `x.amd64.v${tableVersion}.txt`), text);
    writeFileSync(join(cache, "index", `y.amd64.v${tableVersion}.txt`), "damaged");
    expect(await signedDigest(cache, lockedAs("bash", { sha256: "f".repeat(64) }))).toBe(signed[0]!.sha256);
    expect(await signedDigest(cache, lockedAs("bash", { version: "0.9" }))).toBeUndefined();
  });
});
