import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { debianKeyring } from "../../../../src/debian/archive/sources.ts";
import { formatLock, lockedVersions, parseLock } from "../../../../src/debian/lock/lock.ts";
import {
  type LockOptions,
  lockDefinition,
  sourcesOf,
  unlessSame,
} from "../../../../src/debian/lock/make-lock.ts";
import type { Candidate } from "../../../../src/debian/package/candidate.ts";
import type { Lock } from "../../../../src/schema/lock.ts";
import { Spec, type SpecInput } from "../../../../src/schema/spec.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { archiveOf, archiveOptions, trixieSources } from "../../../helpers/builders/archive.ts";
import { candidate, packagesText } from "../../../helpers/builders/candidate.ts";
import { type SigningKey, signingKey } from "../../../helpers/builders/signing.ts";
import { webOf } from "../../../helpers/labs/web.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

let key: SigningKey;
beforeAll(async () => {
  key = await signingKey();
});

const bash = candidate("bash", { essential: true });
const made = (name: string, version: string, fields: Partial<Candidate> = {}) =>
  candidate(name, { version, source: "suite", ...fields });
const first = [bash, made("app", "1.0", { depends: "lib (>= 1.0)" }), made("lib", "1.0"), candidate("tool")];
const both = [
  ...first,
  made("app", "2.0", { depends: "lib (>= 2.0), extra" }),
  made("lib", "2.0"),
  candidate("tool", { version: "2.0" }),
  candidate("extra"),
];

/** What the definition's lock becomes when trixie has these packages. */
async function lockOf(
  packages: readonly Candidate[],
  change: SpecInput["packages"] = {},
  more: Partial<LockOptions> = {},
): Promise<Lock> {
  const shape = { packages: { trixie: packagesText(packages) } };
  const { url } = await webOf(await archiveOf(key, shape));
  const sources = trixieSources(key).slice(0, 1);
  const spec = Spec.parse({ hostname: "a", packages: { install: ["app", "tool"], ...change } });
  return await lockDefinition(spec, { ...archiveOptions([url], tempDir()), sources, ...more });
}

const versions = ({ packages }: Lock) => packages.map(({ name, version }) => `${name} ${version}`).sort();
const keeping = (old: Lock, update: LockOptions["update"] = []) => ({
  locked: lockedVersions(formatLock(old)),
  update,
});

describe("a lock", () => {
  it("says what was asked for, where each package comes from, what it is built from and what it needs", async () => {
    const lock = await lockOf(first);
    expect(lock.request).toMatchObject({ suite: "trixie", install: ["app", "tool"], recommends: false });
    expect(lock.indices.map(({ suite, signedBy }) => [suite, signedBy])).toEqual([
      ["trixie", [key.fingerprint]],
    ]);
    expect(lock.packages.map(({ name }) => name)).toEqual(["bash", "lib", "app", "tool"]);
    expect(lock.packages.find(({ name }) => name === "app")).toEqual({
      name: "app",
      version: "1.0",
      architecture: "amd64",
      archive: "debian",
      suite: "trixie",
      source: "suite",
      path: "pool/main/a/app/app_1.0_amd64.deb",
      size: 1000,
      sha256: sha256("app 1.0"),
      depends: ["lib"],
      requested: true,
      bootstrap: false,
    });
    expect(parseLock(formatLock(lock))).toEqual(lock);
  });

  it("is the same for the same packages, in whatever order the definition names them and from whatever mirror", async () => {
    const one = await lockOf(first, { install: ["app", "tool"] });
    const other = await lockOf(first, { install: ["tool", "app", "tool"] });
    // Each was signed anew.
    expect(unlessSame(one, other)).toBe(one);
    expect(formatLock({ ...other, indices: one.indices })).toBe(formatLock(one));
  });

  it("stays as it is where only the indices are newer", async () => {
    const old = await lockOf(first);
    const dated = {
      ...old,
      indices: old.indices.map((one) => ({ ...one, date: "2030-01-01T00:00:00.000Z" })),
    };
    expect(unlessSame(old, dated)).toBe(old);
    const other = await lockOf(both);
    expect(unlessSame(old, other)).toBe(other);
    expect(unlessSame(undefined, other)).toBe(other);
  });
});

describe("a lock that is made anew", () => {
  it("keeps the versions it had, and adds what is asked for as well", async () => {
    const old = await lockOf(first);
    expect(versions(await lockOf(both))).toEqual(["app 2.0", "bash 1.0", "extra 1.0", "lib 2.0", "tool 2.0"]);
    expect(versions(await lockOf(both, {}, keeping(old)))).toEqual(versions(old));
    const more = await lockOf(both, { install: ["app", "tool", "extra"] }, keeping(old));
    expect(versions(more)).toEqual([...versions(old), "extra 1.0"].sort());
  });

  it("takes all newest, or those that are named, with what is built from the same source", async () => {
    const old = await lockOf(first);
    expect(versions(await lockOf(both, {}, keeping(old, "all")))).toEqual(versions(await lockOf(both)));
    expect(versions(await lockOf(both, {}, keeping(old, ["tool"])))).toEqual([
      "app 1.0",
      "bash 1.0",
      "lib 1.0",
      "tool 2.0",
    ]);
    const suite = ["app 2.0", "bash 1.0", "extra 1.0", "lib 2.0", "tool 1.0"];
    expect(versions(await lockOf(both, {}, keeping(old, ["suite"])))).toEqual(suite);
    expect(versions(await lockOf(both, {}, keeping(old, ["app"])))).toEqual(suite);
  });

  it("takes a newer version where the locked one is gone", async () => {
    const old = await lockOf(first);
    const gone = both.filter(({ name, version }) => name !== "tool" || version === "2.0");
    expect(versions(await lockOf(gone, {}, keeping(old)))).toEqual([
      "app 1.0",
      "bash 1.0",
      "lib 1.0",
      "tool 2.0",
    ]);
  });

  it("takes newer versions only of what does not go with what is asked for now", async () => {
    const old = await lockOf(first);
    const needy = [
      ...both,
      candidate("needy", { depends: "middle" }),
      candidate("middle", { depends: "app (>= 2)" }),
    ];
    const lock = await lockOf(needy, { install: ["app", "needy", "tool"] }, keeping(old));
    expect(versions(lock)).toEqual([
      ...["app 2.0", "bash 1.0", "extra 1.0", "lib 2.0", "middle 1.0", "needy 1.0", "tool 1.0"],
    ]);
  });

  it("gives the old versions up where nothing else helps, and says so", async () => {
    const old = await lockOf(first, { install: ["app"] });
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
    // Only one of two that exclude each other can be chosen, and the old version allows but the other one.
    const either = [
      ...first,
      candidate("app", { version: "2.0", depends: "lib (>= 1.0)" }),
      candidate("left", { conflicts: "tool" }),
      candidate("right", { conflicts: "app (<< 2)" }),
      candidate("needy", { depends: "left | right" }),
    ];
    const lock = await lockOf(either, { install: ["app", "needy", "tool"] }, { ...keeping(old), log });
    expect(versions(lock)).toEqual(["app 2.0", "bash 1.0", "lib 1.0", "needy 1.0", "right 1.0", "tool 1.0"]);
    expect(warnings[0]).toMatch(/^the locked versions cannot be kept \(/);
  });

  it("refuses to renew what is not there", async () => {
    const old = await lockOf(first);
    await expect(lockOf(both, {}, keeping(old, ["toll"]))).rejects.toThrow(
      "there is no package toll to update",
    );
  });
});

describe("the suites of a definition", () => {
  it("are the release with its parts, those beside it, and each repository by its own key", async () => {
    const vendor = {
      url: "https://vendor.example.org/apt",
      suite: "stable",
      components: ["extra"],
      key: key.armored,
      fingerprint: key.fingerprint,
    };
    const { system } = Spec.parse({
      hostname: "a",
      system: {
        suites: ["trixie-backports", "forky"],
        components: ["main", "contrib"],
        repositories: { vendor },
      },
    });
    const sources = await sourcesOf(system);
    expect(sources.map(({ archive, suite, components }) => `${archive} ${suite} ${components}`)).toEqual([
      "debian trixie main,contrib",
      "debian trixie-updates main,contrib",
      "debian-security trixie-security main,contrib",
      "debian trixie-backports main,contrib",
      "debian forky main,contrib",
      "debian forky-updates main,contrib",
      "debian-security forky-security main,contrib",
      "vendor stable extra",
    ]);
    expect(sources.at(-1)).toMatchObject({
      keyring: key.armored,
      fingerprint: key.fingerprint,
      byRelease: true,
    });
    expect(new Set(sources.slice(0, -1).map(({ keyring }) => keyring))).toEqual(
      new Set([await debianKeyring("trixie")]),
    );
  });
});

describe("a .deb beside the definition", () => {
  /** Made by the real dpkg-deb format: ar, with tar members. */
  function deb(dir: string, path: string, control: string): void {
    const work = tempDir();
    writeFileSync(join(work, "control"), control);
    writeFileSync(join(work, "debian-binary"), "2.0\n");
    execFileSync("tar", ["-C", work, "-czf", join(work, "control.tar.gz"), "./control"]);
    execFileSync("tar", ["-C", work, "-cf", join(work, "data.tar"), "--files-from=/dev/null"]);
    const member = (name: string, bytes: Buffer) =>
      Buffer.concat([
        Buffer.from(
          `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(12)}${"100644".padEnd(8)}${String(bytes.length).padEnd(10)}\`\n`,
        ),
        bytes,
        Buffer.from(bytes.length % 2 === 1 ? "\n" : ""),
      ]);
    const names = ["debian-binary", "control.tar.gz", "data.tar"];
    const members = names.map((name) => member(name, readFileSync(join(work, name))));
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), Buffer.concat([Buffer.from("!<arch>\n"), ...members]));
  }
  const control = (name: string, more = "") =>
    `Package: ${name}\nVersion: 9.0\nArchitecture: all\n${more}Description: own\n`;

  it("is locked with what it needs, before an archive's package of that name", async () => {
    const dir = tempDir();
    deb(dir, "debs/own.deb", control("own", "Depends: lib (>= 1.0)\n"));
    deb(dir, "tool.deb", control("tool").replace("9.0", "1.0"));
    const lock = await lockOf(first, { install: [], debs: ["debs/own.deb", "tool.deb"] }, { dir });
    expect(versions(lock)).toEqual(["bash 1.0", "lib 1.0", "own 9.0", "tool 1.0"]);
    expect(lock.packages.find(({ name }) => name === "own")).toMatchObject({
      archive: "local",
      path: "debs/own.deb",
      sha256: sha256(readFileSync(join(dir, "debs/own.deb"))),
      requested: true,
      depends: ["lib"],
    });
    expect(lock.packages.find(({ name }) => name === "tool")).toMatchObject({
      archive: "local",
      path: "tool.deb",
    });
  });

  it("is refused where it is missing, no package, or of another architecture", async () => {
    const dir = tempDir();
    writeFileSync(join(dir, "no.deb"), "no package at all, but longer than a header would be");
    deb(dir, "arm.deb", control("own").replace("all", "arm64"));
    const lock = (debs: string[]) => lockOf(first, { debs }, { dir });
    await expect(lock(["gone.deb"])).rejects.toThrow("reading gone.deb: there is no such file");
    await expect(lock(["no.deb"])).rejects.toThrow(/reading no.deb: .*is not a Debian package/);
    await expect(lock(["arm.deb"])).rejects.toThrow("of arm.deb only none can be installed on amd64");
  });
});
