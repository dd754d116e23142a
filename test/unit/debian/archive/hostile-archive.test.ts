import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadIndex } from "../../../../src/debian/archive/index.ts";
import { verifyRelease } from "../../../../src/debian/archive/release.ts";
import { fetchPackage } from "../../../../src/debian/http/fetch.ts";
import type { LockedPackage } from "../../../../src/schema/lock.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { Fail } from "../../../../src/util/fail.ts";
import {
  type ArchiveShape,
  archiveOf,
  archiveOptions,
  bounds,
  trixieSources,
} from "../../../helpers/builders/archive.ts";
import { releaseText, type SigningKey, signingKey } from "../../../helpers/builders/signing.ts";
import { webOf } from "../../../helpers/labs/web.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

// F23: what a mirror, or somebody before it, may send. Each is refused with a clear error, and nothing of it stays in the cache.

let key: SigningKey;
let other: SigningKey;
beforeAll(async () => {
  key = await signingKey();
  other = await signingKey();
});

const signatureOf = (text: string) => text.slice(text.indexOf("-----BEGIN PGP SIGNATURE-----"));
/** The same suite's, signed anew with other fields. */
const again = (change: Parameters<typeof releaseText>[0]) => (good: string) =>
  key.sign(releaseText({ codename: /^Codename: (.*)$/m.exec(good)?.[1] ?? "", ...change }));

const releases: [string, NonNullable<ArchiveShape["spoilRelease"]>, RegExp][] = [
  ["text before the signed part", (good) => `Suite: stable\n${good}`, /does not begin with a signed message/],
  ["text after the signed part", (good) => `${good}Suite: stable\n`, /not exactly one signed text/],
  ["a second signed text", (good) => `${good}${good}`, /not exactly one signed text/],
  ["a second signature", (good) => `${good}${signatureOf(good)}`, /not exactly one signed text/],
  ["a form feed", (good) => good.replace("Origin", "\f\nOrigin"), /control characters/],
  ["a form feed before all", (good) => `\f${good}`, /control characters/],
  ["CRLF line ends", (good) => good.replaceAll("\n", "\r\n"), /control characters or CRLF/],
  ["a NUL", (good) => good.replace("Origin: Debian", "Origin: Debian\0"), /control characters/],
  [
    "an expired Valid-Until",
    again({ validUntil: "Sat, 01 Jun 2024 12:00:00 UTC" }),
    /expired on Sat, 01 Jun 2024/,
  ],
  ["a future date", again({ date: "Mon, 10 Jun 2024 00:00:00 UTC" }), /is dated 2024-06-10.*, in the future/],
  ["an unknown key", (good) => other.sign(bodyOf(good)), /no signature by a key of this archive/],
  [
    "an unknown key's signature below our text",
    async (good) => good.replace(signatureOf(good), signatureOf(await other.sign(bodyOf(good)))),
    /no signature/,
  ],
  ["another suite", again({ codename: "bookworm" }), /is for bookworm, not trixie/],
  ["a page of HTML", () => "<html>Welcome!</html>", /login page/],
  ["nothing", () => "", /does not begin/],
  ["its own end missing", (good) => good.slice(0, -40), /not exactly one signed text/],
  ["a size changed", (good) => good.replace(/^ ([0-9a-f]{64}) \d+ /m, " $1 1 "), /no signature/],
];

function bodyOf(signed: string): string {
  return signed.slice(signed.indexOf("\n\n") + 2, signed.indexOf("-----BEGIN PGP SIGNATURE-----"));
}

describe("an InRelease with", () => {
  it.each(releases)("%s is refused, and the cache stays good", async (_name, spoilRelease, message) => {
    const cache = tempDir();
    const error = await load(cache, { spoilRelease }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Fail);
    expect((error as Fail).message).toMatch(/^InRelease of trixie/);
    expect((error as Fail).message).toMatch(message);
    expect((error as Fail).hint).toBeTruthy();
    expect(filesIn(cache)).toEqual([]);
    await staysGood(cache);
  });

  it.each(releases.slice(0, 8))(
    "%s is refused where a good one is in the cache, which stays",
    async (_name, spoilRelease) => {
      const cache = tempDir();
      await load(cache, {});
      const before = filesIn(cache);
      await expect(load(cache, { spoilRelease })).rejects.toThrow(Fail);
      expect(filesIn(cache)).toEqual(before);
      const kept = await loadIndex(trixieSources(key), "amd64", archiveOptions([], cache, { offline: true }));
      expect(kept.tables).toHaveLength(3);
    },
  );

  it("a signature over SHA-1 is refused, by the same key one over SHA-256 is not", async () => {
    const read = (name: string) => readFileSync(join("test/fixtures/sha1", name));
    const verify = (name: string) =>
      verifyRelease(read(name), {
        suite: "trixie",
        keyring: read("key.asc").toString(),
        now: new Date("2024-06-02T00:00:00Z"),
      });
    expect((await verify("InRelease.sha256")).signedBy).toHaveLength(1);
    await expect(verify("InRelease.sha1")).rejects.toThrow(/no signature by a key/);
  });
});

describe("a Packages file that is", () => {
  it.each([
    ["cut", (packed: Buffer) => packed.subarray(0, packed.length - 9), /\d+ bytes instead of \d+/],
    ["longer", (packed: Buffer) => Buffer.concat([packed, Buffer.alloc(100)]), /more than \d+ bytes/],
    ["without end", () => Buffer.alloc(20 * 1024 * 1024), /more than \d+ bytes/],
    ["of other content", (packed: Buffer) => Buffer.alloc(packed.length), /SHA-256 differs/],
    ["a page of HTML", () => Buffer.from("<html>"), /6 bytes instead of \d+/],
    ["empty", () => Buffer.alloc(0), /0 bytes instead of \d+/],
  ])("%s is refused, and the cache stays good", async (_name, spoil, message) => {
    for (const byHash of [true, false]) {
      const cache = tempDir();
      const error = await load(cache, { spoil, byHash }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(Fail);
      if (!byHash) expect((error as Fail).message).toMatch(message);
      expect(filesIn(cache).filter((name) => !/_InRelease(\.json)?$/.test(name))).toEqual([]);
      await staysGood(cache);
    }
  });
});

describe("a .deb that is", () => {
  const good = Buffer.from("!<arch>\na package\n".repeat(50));
  const locked: LockedPackage = {
    name: "app",
    version: "1.0",
    architecture: "amd64",
    archive: "debian",
    path: "pool/main/app.deb",
    size: good.length,
    sha256: sha256(good),
    requested: false,
    bootstrap: false,
  };

  it.each([
    ["cut", good.subarray(0, 100), /100 bytes instead of/],
    ["longer", Buffer.concat([good, good]), /more than \d+ bytes/],
    ["of other content", Buffer.alloc(good.length), /SHA-256 differs/],
    ["empty", Buffer.alloc(0), /0 bytes instead of/],
  ])("%s is refused, and the cache stays good", async (_name, bad, message) => {
    const dir = tempDir();
    const hostile = await webOf(new Map([["pool/main/app.deb", bad]]));
    const options = (urls: readonly string[]) => ({ mirrors: { debian: urls }, dir, bounds });
    await expect(fetchPackage(locked, options([hostile.url]))).rejects.toThrow(message);
    expect(readdirSync(dir)).toEqual([]);
    const honest = await webOf(new Map([["pool/main/app.deb", good]]));
    const file = await fetchPackage(locked, options([hostile.url, honest.url]));
    expect(readFileSync(file)).toEqual(good);
    expect(readdirSync(dir)).toEqual([`${locked.sha256}.deb`]);
  });
});

async function load(cache: string, shape: ArchiveShape) {
  const { url } = await webOf(await archiveOf(key, shape));
  return await loadIndex(trixieSources(key), "amd64", archiveOptions([url], cache));
}

async function staysGood(cache: string): Promise<void> {
  expect((await load(cache, {})).tables).toHaveLength(3);
}

function filesIn(cache: string): string[] {
  try {
    return readdirSync(join(cache, "index")).sort();
  } catch {
    return [];
  }
}
