import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { loadIndex } from "../../src/debian/index.ts";
import { partsOf } from "../../src/debian/sources.ts";
import { sha256 } from "../../src/util/digest.ts";
import { Fail } from "../../src/util/fail.ts";
import { silentLog } from "../../src/util/log.ts";
import { releaseText, type SigningKey, signingKey } from "../helpers/signing.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { portal, webOf } from "../helpers/web.ts";

const stanza = (name: string, more = "") =>
  `Package: ${name}\nVersion: 1.0\nArchitecture: amd64\nFilename: pool/main/${name}.deb\nSize: 10\n` +
  `SHA256: ${sha256(name)}\n${more}\n`;

let key: SigningKey;
beforeAll(async () => {
  key = await signingKey();
});

function sources() {
  return partsOf("trixie").map((part) => ({ ...part, components: ["main"], keyring: key.armored }));
}

const now = new Date("2024-06-02T00:00:00Z");
const bounds = { windowMs: 5_000, leastBytes: 1, pauseMs: 1 };
const packagesOf: Readonly<Record<string, string>> = {
  trixie: `${stanza("bash", "Essential: yes\n")}${stanza("app", "Depends: lib (>= 1),\n lib2\n")}`,
  "trixie-updates": stanza("tzdata"),
  "trixie-security": stanza("lib"),
};

/** Files of a mirror that serves all three suites below one base. */
async function archive(options: { xz?: boolean; byHash?: boolean; spoil?: (packed: Buffer) => Buffer } = {}) {
  const files = new Map<string, string | Buffer>();
  for (const [suite, text] of Object.entries(packagesOf)) {
    const packed = options.xz ? execFileSync("xz", ["-c"], { input: text }) : gzipSync(text);
    const name = `main/binary-amd64/Packages.${options.xz ? "xz" : "gz"}`;
    const sums = [
      ` ${sha256(packed)} ${packed.length} ${name}`,
      ` ${sha256(text)} ${Buffer.byteLength(text)} main/binary-amd64/Packages`,
    ];
    files.set(`dists/${suite}/InRelease`, await key.sign(releaseText({ codename: suite, sums })));
    const served = options.spoil?.(packed) ?? packed;
    const path = options.byHash === false ? name : `main/binary-amd64/by-hash/SHA256/${sha256(packed)}`;
    files.set(`dists/${suite}/${path}`, served);
  }
  return files;
}

function load(mirrors: readonly string[], cache: string, log = silentLog) {
  return loadIndex(sources(), "amd64", {
    cache,
    mirrors: { debian: mirrors, "debian-security": mirrors },
    now,
    log,
    bounds,
  });
}

describe("loadIndex", () => {
  it("reads suite, updates and security, with the chain to the signature", async () => {
    const files = await archive();
    const { url } = await webOf(files);
    const { indices, tables } = await load([url], tempDir());
    const found = ["bash", "app", "tzdata", "lib"].map((name) =>
      tables
        .flatMap((table) => table.versions(name))
        .map(({ origin }) => `${origin.archive} ${origin.suite}`),
    );
    expect(found).toEqual([
      ["debian trixie"],
      ["debian trixie"],
      ["debian trixie-updates"],
      ["debian-security trixie-security"],
    ]);
    expect(indices).toEqual(
      Object.keys(packagesOf).map((suite) => ({
        archive: suite === "trixie-security" ? "debian-security" : "debian",
        suite,
        codename: suite,
        date: "2024-06-01T00:00:00.000Z",
        inRelease: sha256(files.get(`dists/${suite}/InRelease`)!),
        signedBy: [key.fingerprint],
      })),
    );
  });

  it("takes an index by name where the mirror has none by hash, packed by xz too", async () => {
    const { url } = await webOf(await archive({ xz: true, byHash: false }));
    expect((await load([url], tempDir())).tables).toHaveLength(3);
  });

  it("fetches an index once, and a changed one again", async () => {
    const cache = tempDir();
    const mirror = await webOf(await archive());
    await load([mirror.url], cache);
    mirror.asked.length = 0;
    await load([mirror.url], cache);
    expect(mirror.asked.filter((path) => !path.endsWith("/InRelease"))).toEqual([]);
  });

  it("reads an index anew when its file in the cache is damaged", async () => {
    const cache = tempDir();
    const { url } = await webOf(await archive());
    await load([url], cache);
    for (const name of readdirSync(join(cache, "index"))) writeFileSync(join(cache, "index", name), "[{");
    expect((await load([url], cache)).tables).toHaveLength(3);
  });

  it.each([
    ["cut", (packed: Buffer) => packed.subarray(0, packed.length - 9)],
    ["longer", (packed: Buffer) => Buffer.concat([packed, Buffer.alloc(100)])],
    ["of other content", (packed: Buffer) => Buffer.alloc(packed.length)],
    ["a page of HTML", () => Buffer.from("<html>")],
  ])("refuses an index that is %s, and keeps nothing of it", async (_name, spoil) => {
    const cache = tempDir();
    mkdirSync(join(cache, "index"));
    const { url } = await webOf(await archive({ spoil }));
    await expect(load([url], cache)).rejects.toThrow(Fail);
    const kept = readdirSync(join(cache, "index"));
    expect(kept.filter((name) => !name.endsWith("_InRelease"))).toEqual([]);
    const good = await webOf(await archive());
    expect((await load([url, good.url], cache)).tables).toHaveLength(3);
  });

  it("passes over a mirror whose InRelease is not Debian's, and says so", async () => {
    const good = await webOf(await archive());
    const page = await portal();
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
    expect((await load([page.url, good.url], tempDir(), log)).tables).toHaveLength(3);
    expect(warnings[0]).toMatch(/^http:.*InRelease of trixie.*: does not begin with a signed message/);
    await expect(load([page.url], tempDir())).rejects.toThrow(/does not begin with a signed message/);
    await expect(load([], tempDir())).rejects.toThrow(/no mirror of debian is known/);
  });

  it("refuses an architecture that the suite does not have", async () => {
    const { url } = await webOf(await archive());
    const options = {
      cache: tempDir(),
      mirrors: { debian: [url], "debian-security": [url] },
      now,
      log: silentLog,
      bounds,
    };
    await expect(loadIndex(sources(), "riscv64", options)).rejects.toThrow(
      /trixie.* has no index of main for riscv64/,
    );
  });
});
