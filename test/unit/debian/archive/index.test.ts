import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadIndex } from "../../../../src/debian/archive/index.ts";
import type { ArchiveOptions } from "../../../../src/debian/archive/release-file.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { silentLog } from "../../../../src/util/log.ts";
import {
  type ArchiveShape,
  archiveOf,
  archiveOptions,
  packagesOf,
  trixieSources,
} from "../../../helpers/builders/archive.ts";
import { releaseText, type SigningKey, signingKey } from "../../../helpers/builders/signing.ts";
import { portal, web, webOf } from "../../../helpers/labs/web.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

let key: SigningKey;
beforeAll(async () => {
  key = await signingKey();
});

const archive = (shape: ArchiveShape = {}) => archiveOf(key, shape);

function load(mirrors: readonly string[], cache: string, more: Partial<ArchiveOptions> = {}) {
  return loadIndex(trixieSources(key), "amd64", archiveOptions(mirrors, cache, more));
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

  it("asks a mirror only for what has changed since it was asked last", async () => {
    const cache = tempDir();
    const files = await archive();
    const etag = (body: string | Buffer | undefined) => `"${sha256(body ?? "")}"`;
    const answered: number[] = [];
    const mirror = await web((request, response) => {
      const body = files.get((request.url ?? "").slice(1));
      const same = request.headers["if-none-match"] === etag(body);
      const status = body === undefined ? 404 : same ? 304 : 200;
      answered.push(status);
      response.writeHead(status, { etag: etag(body), "last-modified": "Sat, 01 Jun 2024 00:00:00 GMT" });
      response.end(status === 200 ? body : undefined);
    });
    const first = await load([mirror.url], cache);
    answered.length = 0;
    expect((await load([mirror.url], cache)).indices).toEqual(first.indices);
    expect(answered).toEqual([304, 304, 304]);
    // What the cache holds is looked at before it is believed, and another mirror is not asked about it.
    writeFileSync(join(cache, "index/debian_trixie_InRelease"), "damaged");
    answered.length = 0;
    expect((await load([mirror.url], cache)).indices).toEqual(first.indices);
    expect(answered.sort()).toEqual([200, 304, 304, 304]);
    const other = await webOf(files);
    expect((await load([other.url], cache)).indices).toEqual(first.indices);
  });

  it("reads a Release whose signature lies beside it, where there is no InRelease", async () => {
    const { url } = await webOf(await archive({ detached: true }));
    const cache = tempDir();
    const { indices, files } = await load([url], cache);
    expect(indices.map(({ signedBy }) => signedBy)).toEqual(Array(3).fill([key.fingerprint]));
    expect(files.filter(({ suite }) => suite === "trixie").map(({ name }) => name)).toEqual([
      "Release",
      "Release.gpg",
      "main/binary-amd64/Packages.gz",
    ]);
    expect((await load([], cache, { offline: true })).indices).toEqual(indices);
  });

  it("reads an archive of somebody else's by its key and by the name that it gives its suite", async () => {
    const other = await signingKey();
    const keyring = key.armored;
    const sums = [` ${sha256("")} 0 main/binary-amd64/Packages.gz`];
    const release = await key.sign(releaseText({ suite: "stable", codename: "bird", sums }));
    const { url } = await webOf(new Map([["dists/stable/InRelease", release]]));
    const source = { archive: "vendor", suite: "stable", components: [], keyring };
    const options = {
      ...archiveOptions([], tempDir()),
      mirrors: { debian: [], "debian-security": [], vendor: [url] },
    };
    const read = (more: object) => loadIndex([{ ...source, ...more }], "amd64", options);
    const { fingerprint } = key;
    expect((await read({ fingerprint, byRelease: true })).indices[0]).toMatchObject({
      archive: "vendor",
      suite: "stable",
    });
    await expect(read({ fingerprint })).rejects.toThrow(/is for bird, not stable$/);
    await expect(read({ fingerprint: other.fingerprint, byRelease: true })).rejects.toMatchObject({
      message: `InRelease of stable: no key has the fingerprint ${other.fingerprint}`,
      hint: `there is ${fingerprint}`,
    });
    await expect(read({ keyring: other.armored, byRelease: true })).rejects.toThrow(/no signature by a key/);
    await expect(read({ keyring: "no key", byRelease: true })).rejects.toThrow(/no armored OpenPGP key/);
  });

  it("passes over a mirror whose InRelease is not Debian's, and says so", async () => {
    const good = await webOf(await archive());
    const page = await portal();
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
    expect((await load([page.url, good.url], tempDir(), { log })).tables).toHaveLength(3);
    expect(warnings[0]).toMatch(/^http:.*InRelease of trixie.*: does not begin with a signed message/);
    await expect(load([page.url], tempDir())).rejects.toThrow(/does not begin with a signed message/);
    await expect(load([], tempDir())).rejects.toThrow(/no mirror of debian is known/);
  });

  it("refuses an architecture that the suite does not have", async () => {
    const { url } = await webOf(await archive());
    await expect(loadIndex(trixieSources(key), "riscv64", archiveOptions([url], tempDir()))).rejects.toThrow(
      /trixie.* has no index of main for riscv64/,
    );
  });
});

describe("loadIndex, offline", () => {
  it("reads what was fetched before, and asks nobody", async () => {
    const cache = tempDir();
    const mirror = await webOf(await archive());
    const first = await load([mirror.url], cache);
    mirror.asked.length = 0;
    const { indices, tables } = await load([mirror.url], cache, { offline: true });
    expect(indices).toEqual(first.indices);
    expect(tables).toHaveLength(3);
    expect(mirror.asked).toEqual([]);
  });

  it("takes what has expired, and says so; online it is refused", async () => {
    const cache = tempDir();
    const { url } = await webOf(await archive({ validUntil: "Mon, 03 Jun 2024 00:00:00 UTC" }));
    await load([url], cache);
    const later = new Date("2024-06-20T00:00:00Z");
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
    expect((await load([url], cache, { offline: true, now: later, log })).tables).toHaveLength(3);
    expect(warnings).toContain("trixie expired on Mon, 03 Jun 2024 00:00:00 UTC; taken, since offline");
    await expect(load([url], cache, { now: later })).rejects.toThrow(/expired on/);
  });

  it("says what the cache lacks", async () => {
    const cache = tempDir();
    await expect(load([], cache, { offline: true })).rejects.toMatchObject({
      message: expect.stringMatching(/^the cache holds nothing of trixie/),
      hint: "run it once without --offline",
    });
    await load([(await webOf(await archive())).url], cache);
    for (const name of readdirSync(join(cache, "index")))
      if (!name.includes("_")) rmSync(join(cache, "index", name));
    await expect(load([], cache, { offline: true })).rejects.toThrow(/^the cache holds no index of trixie/);
  });
});
