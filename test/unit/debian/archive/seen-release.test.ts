import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadIndex } from "../../../../src/debian/archive/index.ts";
import type { ArchiveOptions } from "../../../../src/debian/archive/release-file.ts";
import { keyOf, warnUnbounded } from "../../../../src/debian/archive/seen-release.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { archiveOf, archiveOptions, trixieSources } from "../../../helpers/builders/archive.ts";
import { type SigningKey, signingKey } from "../../../helpers/builders/signing.ts";
import { webOf } from "../../../helpers/labs/web.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

let key: SigningKey;
beforeAll(async () => {
  key = await signingKey();
});

const older = "Sat, 20 Apr 2024 00:00:00 UTC";
const mirrorOf = async (date?: string) =>
  await webOf(await archiveOf(key, date === undefined ? {} : { date }));
const load = (mirrors: readonly string[], cache: string, more: Partial<ArchiveOptions> = {}) =>
  loadIndex(trixieSources(key), "amd64", archiveOptions(mirrors, cache, more));
const dates = async (...args: Parameters<typeof load>) =>
  (await load(...args)).indices.map(({ date }) => date.slice(0, 10));
const noted = () => {
  const warnings: string[] = [];
  return { warnings, log: { ...silentLog, warn: (message: string) => void warnings.push(message) } };
};

/** One address, whose content is exchanged, as by somebody who stands between. */
async function changing() {
  const files = await archiveOf(key);
  const { url } = await webOf(files);
  return {
    url,
    async serve(date?: string) {
      for (const [path, body] of await archiveOf(key, date === undefined ? {} : { date }))
        files.set(path, body);
    },
  };
}

describe("an InRelease that is older than one that was seen, rightly signed (F23)", () => {
  it("is refused, says how it would be taken, and replaces nothing", async () => {
    const cache = tempDir();
    const mirror = await changing();
    await load([mirror.url], cache);
    const kept = () =>
      readdirSync(join(cache, "index"))
        .sort()
        .map((name) => [name, readFileSync(join(cache, "index", name), "latin1")]);
    const before = kept();
    await mirror.serve(older);
    for (let again = 0; again < 2; again += 1)
      await expect(load([mirror.url], cache)).rejects.toMatchObject({
        message: expect.stringMatching(
          /^InRelease of trixie\S*: is of 2024-04-20T00:00:00.000Z, but one of 2024-06-01T00:00:00.000Z was seen before$/,
        ),
        hint: expect.stringContaining("--allow-older"),
      });
    expect(kept()).toEqual(before);
    expect(await dates([], cache, { offline: true })).toEqual(Array(3).fill("2024-06-01"));
    await mirror.serve();
    expect(await dates([mirror.url], cache)).toEqual(Array(3).fill("2024-06-01"));
  });

  it("is refused from whichever mirror of the same list, and the next one is asked", async () => {
    const cache = tempDir();
    const good = await mirrorOf();
    const stale = await mirrorOf(older);
    expect(await dates([stale.url, good.url], cache)).toEqual(Array(3).fill("2024-04-20"));
    await load([good.url, stale.url], cache);
    const { log, warnings } = noted();
    expect(await dates([stale.url, good.url], cache, { log })).toEqual(Array(3).fill("2024-06-01"));
    expect(warnings).toHaveLength(3);
    expect(warnings[0]).toMatch(/^http:.*: InRelease of trixie\S*: is of 2024-04-20/);
  });

  it("is taken on purpose, with a warning, and counts from then on", async () => {
    const cache = tempDir();
    const mirror = await changing();
    await load([mirror.url], cache);
    await mirror.serve(older);
    const { log, warnings } = noted();
    expect(await dates([mirror.url], cache, { allowOlder: true, log })).toEqual(Array(3).fill("2024-04-20"));
    expect(warnings.filter((one) => /was seen before; taken, as asked for$/.test(one))).toHaveLength(3);
    expect(await dates([mirror.url], cache)).toEqual(Array(3).fill("2024-04-20"));
  });

  it("is refused where the lock was made from a newer one, whatever the cache has seen, offline too", async () => {
    const cache = tempDir();
    const { url } = await mirrorOf(older);
    await load([url], cache);
    const lockedFrom = new Map([
      [keyOf({ archive: "debian", suite: "trixie" }), "2024-05-01T00:00:00.000Z"],
      [keyOf({ archive: "debian", suite: "bookworm" }), "2024-06-01T00:00:00.000Z"],
    ]);
    const message = /^InRelease of trixie: .*but one of 2024-05-01\S+ the lock was made from$/;
    for (const more of [{}, { offline: true }])
      await expect(load([url], cache, { ...more, lockedFrom })).rejects.toThrow(message);
    await expect(load([url], tempDir(), { lockedFrom })).rejects.toThrow(message);
    expect(await dates([url], cache, { lockedFrom, allowOlder: true })).toHaveLength(3);
  });

  it("is taken from an archive of old states that another definition names, and stays refused elsewhere", async () => {
    const cache = tempDir();
    const today = await changing();
    await load([today.url], cache);
    const snapshot = await mirrorOf(older);
    expect(await dates([snapshot.url], cache)).toEqual(Array(3).fill("2024-04-20"));
    await today.serve(older);
    await expect(load([today.url], cache)).rejects.toThrow(/was seen before$/);
  });

  it("is noticed though the cache's copy is gone; a damaged note counts as none", async () => {
    const cache = tempDir();
    const mirror = await changing();
    await load([mirror.url], cache);
    for (const name of readdirSync(join(cache, "index"))) writeFileSync(join(cache, "index", name), "");
    await mirror.serve(older);
    await expect(load([mirror.url], cache)).rejects.toThrow(/was seen before$/);
    for (const name of readdirSync(join(cache, "seen"))) writeFileSync(join(cache, "seen", name), "[{");
    expect(await dates([mirror.url], cache)).toEqual(Array(3).fill("2024-04-20"));
  });
});

describe("a Release that says no end of its validity (F23)", () => {
  const release = (date: string, validUntil?: string) =>
    ({ date, ...(validUntil === undefined ? {} : { validUntil }) }) as Parameters<typeof warnUnbounded>[1];
  const now = new Date("2024-06-02T00:00:00Z");
  const told = (mirror: string, of: ReturnType<typeof release>, suite: string, byRelease = false) => {
    const { log, warnings } = noted();
    const source = { archive: "debian", suite, components: [], keyring: "", byRelease };
    warnUnbounded(mirror, of, source, { cache: "", mirrors: {}, now, log });
    return warnings;
  };
  const http = "http://packages.example.org/debian";

  it("is warned about when it is old and came by plain HTTP", () => {
    expect(told(http, release("2024-04-20T00:00:00.000Z"), "stable", true)).toEqual([
      `stable of ${http} is of 2024-04-20T00:00:00.000Z and says no end of its validity: over plain HTTP an old one could be replayed; name an https address`,
    ]);
    expect(told(http, release("2024-04-20T00:00:00.000Z"), "trixie-security")).toHaveLength(1);
  });

  it("is not where it is young, came by HTTPS, or is a release of Debian's, which keeps its date for months", () => {
    expect(told(http, release("2024-05-20T00:00:00.000Z"), "stable", true)).toEqual([]);
    expect(told("https://packages.example.org", release("2024-04-20T00:00:00.000Z"), "stable", true)).toEqual(
      [],
    );
    expect(told(http, release("2023-04-20T00:00:00.000Z"), "trixie")).toEqual([]);
    const ends = release("2024-04-20T00:00:00.000Z", "Sun, 09 Jun 2024 00:00:00 UTC");
    expect(told(http, ends, "stable", true)).toEqual([]);
  });
});
