import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { httpAnswers } from "../../../../src/dsl/health.ts";
import { vendoredMirrors } from "../../../../src/operator/cache/vendor.ts";
import type { Definition } from "../../../../src/operator/definition/load.ts";
import {
  lockPath,
  mirrorsFor,
  readLockFor,
  requirePackages,
  withImpliedPackages,
  writeLock,
} from "../../../../src/operator/lock/lock.ts";
import type { SpecInput } from "../../../../src/schema/spec.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { locked, lockOf, serverSpec } from "../../../helpers/builders/deployable.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

function definition(change: Partial<SpecInput> = {}): Definition {
  const dir = tempDir();
  return { spec: serverSpec(change), dir, file: join(dir, "IMGBUILD.ts"), unfinished: [] };
}

describe("requirePackages", () => {
  it("wants time zones where one is named, with the line that names it", () => {
    const berlin = definition({ timezone: "Europe/Berlin" });
    writeFileSync(berlin.file, 'export default image({\n  timezone: "Europe/Berlin",\n});\n');
    const lock = lockOf(berlin.spec);
    expect(() => requirePackages(berlin, lock)).toThrow(
      /IMGBUILD\.ts:2: timezone: Europe\/Berlin needs .*tzdata/,
    );
    requirePackages(berlin, { packages: [...lock.packages, locked("tzdata")] });
    requirePackages(definition(), lock);
  });

  it("wants openssl where a web server is asked over https, and authorities where its certificate must be trusted", () => {
    const url = "https://www.example.org/";
    const asks = definition({
      health: [httpAnswers("http://localhost/"), httpAnswers(url, { certificate: { trusted: true } })],
    });
    writeFileSync(asks.file, "");
    const { packages } = lockOf(asks.spec);
    expect(() => requirePackages(asks, { packages })).toThrow(
      /health\[1\]\.url: https, which .* needs the package `openssl` in packages\.install[\s\S]*`ca-certificates`/,
    );
    expect(() => requirePackages(asks, { packages: [...packages, locked("openssl")] })).toThrow(
      /a trusted certificate needs the package `ca-certificates`/,
    );
    requirePackages(asks, { packages: [...packages, locked("openssl"), locked("ca-certificates")] });
  });
});

describe("withImpliedPackages", () => {
  it("adds what the bootloader needs, once and sorted, and nothing else", () => {
    const spec = serverSpec({ packages: { install: ["zstd", "systemd-boot"] } });
    const implied = withImpliedPackages(spec);
    expect(implied.packages.install).toEqual(["systemd-boot", "systemd-boot-efi", "zstd"]);
    expect({ ...implied, packages: spec.packages }).toEqual(spec);
    const bare = serverSpec({ boot: undefined, packages: { install: ["b", "a"].map((one) => `${one}x`) } });
    expect(withImpliedPackages(bare).packages.install).toEqual(["ax", "bx"]);
  });
});

describe("a definition's lock", () => {
  it("is read as it was written, and fits", async () => {
    const made = definition();
    const lock = lockOf(withImpliedPackages(made.spec));
    await writeLock(lockPath(made), lock);
    expect(await readLockFor(made)).toEqual({ lock, fresh: true, stale: [] });
    expect(readdirSync(made.dir)).toEqual(["imgbuild.lock.yaml"]);
    expect(readFileSync(lockPath(made), "utf8")).toMatch(/^# Exact packages/);
  });

  it("does not fit when other packages are asked for, but when only files or users change it does", async () => {
    const made = definition();
    await writeLock(lockPath(made), lockOf(withImpliedPackages(made.spec)));
    const changed = (change: Partial<SpecInput>) => ({ ...made, spec: serverSpec(change) });
    const more = changed({ packages: { install: ["nginx"] } });
    await expect(readLockFor(more)).rejects.toThrow(
      /is stale: nginx is asked for, openssh-server is not asked for any more$/,
    );
    expect(await readLockFor(more, { stale: "accept" })).toMatchObject({ fresh: false });
    await expect(readLockFor(changed({ boot: { firmware: ["bios"] } }))).rejects.toThrow(/is stale/);
    expect(await readLockFor(changed({ hostname: "mail", users: {} }))).toMatchObject({ fresh: true });
  });

  it("is asked for when it is not there, and refused with its name when it is damaged", async () => {
    const made = definition();
    await expect(readLockFor(made)).rejects.toMatchObject({
      message: `${lockPath(made)} does not exist`,
      hint: `run \`imgbuild lock ${made.dir}\``,
    });
    for (const text of ["{", "version: 1\n", "version: 3\n", "packages: []\n"]) {
      writeFileSync(lockPath(made), text);
      await expect(readLockFor(made)).rejects.toThrow(`reading ${lockPath(made)}: `);
    }
  });
});

describe("mirrorsFor", () => {
  it("takes the definition's mirror before the environment's", async () => {
    const env = { IMGBUILD_MIRROR: "http://env.example.org/debian" };
    const spec = serverSpec({ system: { mirror: "http://def.example.org/debian" } });
    expect((await mirrorsFor(spec, env)).debian[0]).toMatch(/^http:\/\/def\.example\.org\/debian\/?$/);
    expect((await mirrorsFor(serverSpec(), env)).debian[0]).toMatch(
      /^http:\/\/env\.example\.org\/debian\/?$/,
    );
  });

  it("knows where the definition's repositories and own files are", async () => {
    const vendor = {
      url: "https://vendor.example.org/apt/",
      suite: "stable",
      components: ["main"],
      key: "-----BEGIN PGP PUBLIC KEY BLOCK-----",
      fingerprint: "A".repeat(40),
    };
    const mirrors = await mirrorsFor(
      serverSpec({ system: { repositories: { vendor } } }),
      {},
      "/srv/a definition",
    );
    expect(mirrors.vendor).toEqual(["https://vendor.example.org/apt"]);
    expect(mirrors.local).toEqual(["file:///srv/a%20definition"]);
    const vendored = vendoredMirrors(
      "/srv/vendored",
      serverSpec({ system: { repositories: { vendor } } }),
      mirrors,
    );
    expect(vendored.vendor).toEqual(["file:///srv/vendored/vendor", "https://vendor.example.org/apt"]);
    expect(vendored.debian).toEqual(["file:///srv/vendored/debian", ...mirrors.debian]);
    expect(vendored["debian-security"][0]).toBe("file:///srv/vendored/debian-security");
    expect(vendored.local).toEqual(mirrors.local);
  });
});

describe("a definition's own .deb", () => {
  it("makes the lock stale when it changes or goes", async () => {
    const made = definition({ packages: { install: ["openssh-server"], debs: ["own.deb"] } });
    const bytes = Buffer.from("own");
    const spec = withImpliedPackages(made.spec);
    const lock = lockOf(spec);
    const own = locked("own", {
      archive: "local",
      path: "own.deb",
      sha256: sha256(bytes),
      size: bytes.length,
    });
    await writeLock(lockPath(made), { ...lock, packages: [...lock.packages, own] });
    await expect(readLockFor(made)).rejects.toThrow(/is stale: own.deb is missing$/);
    writeFileSync(join(made.dir, "own.deb"), bytes);
    expect(await readLockFor(made)).toMatchObject({ fresh: true });
    writeFileSync(join(made.dir, "own.deb"), "other");
    expect((await readLockFor(made, { stale: "accept" })).stale).toEqual(["own.deb has changed"]);
  });
});
