import { existsSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { cacheEntries } from "../../../../src/operator/cache/entries.ts";
import { clearCache } from "../../../../src/operator/cache/gc.ts";
import { claim, hold } from "../../../../src/system/files/file-lock.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const kib = 1024;
const now = Date.now();
const hex = (digit: string, count: number) => digit.repeat(count);
const [a, b, c] = [hex("a", 32), hex("b", 32), hex("c", 32)];

/** A cache with these files of 64 KiB each; hours since each was used. What is above a file was used with it. */
function cacheOf(files: Readonly<Record<string, number>>): string {
  const cache = tempDir();
  for (const [path, hours] of Object.entries(files)) {
    const full = join(cache, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, Buffer.alloc(64 * kib, 1));
    const used = now / 1000 - hours * 3600;
    for (let at = full; at !== cache; at = dirname(at)) utimesSync(at, used, used);
  }
  return cache;
}
const clear = async (cache: string, maxBytes: number, dryRun = false) =>
  await clearCache(cacheEntries(cache), { maxBytes, dryRun, now });
const inside = (cache: string) =>
  readdirSync(cache, { recursive: true, encoding: "utf8", withFileTypes: true })
    .filter((one) => !one.isDirectory())
    .map((one) => join(one.parentPath, one.name).slice(cache.length + 1))
    .sort();

const usual = {
  [`packages/${hex("1", 64)}.deb`]: 1,
  [`packages/${hex("2", 64)}.deb`]: 9,
  [`index/${hex("3", 64)}.xz`]: 8,
  [`base/tree-${a}/tree/usr`]: 2,
  [`base/${b}/kernel`]: 7,
  [`tree/${a}/disk-${b}/disk.raw`]: 6,
  [`tree/${a}/filled-${b}-${a}/disk.raw`]: 5.5,
  [`tree/${a}/initramfs-${b}/boot`]: 5,
  [`tree/${a}/tree/etc`]: 3,
  [`image/${a}/system.raw`]: 4,
  [`packed/${b}/tree.cpio`]: 4.9,
  "stock-host-0123/disk.raw": 10,
  "accelerator-0.json": 50,
};

describe("clearing the cache", () => {
  it("takes out what was used least recently until it is small enough, parts of a layer by themselves", async () => {
    const cache = cacheOf(usual);
    const total = cacheEntries(cache).reduce((sum, { bytes }) => sum + bytes, 0);
    const { freed, left, entries } = await clear(cache, total - 7.5 * 64 * kib);
    expect(entries.map(({ entry, outcome }) => `${entry.path.slice(cache.length + 1)}: ${outcome}`)).toEqual([
      "stock-host-0123: removed",
      `packages/${hex("2", 64)}.deb: removed`,
      `index/${hex("3", 64)}.xz: removed`,
      `base/${b}: removed`,
      `tree/${a}/disk-${b}: removed`,
      `tree/${a}/filled-${b}-${a}: removed`,
      `tree/${a}/initramfs-${b}: removed`,
      `packed/${b}: removed`,
    ]);
    expect(left).toBeLessThanOrEqual(total - 7.5 * 64 * kib);
    expect(freed + left).toBe(total);
    expect(inside(cache)).toEqual(
      [
        "accelerator-0.json",
        `base/tree-${a}/tree/usr`,
        `image/${a}/system.raw`,
        `packages/${hex("1", 64)}.deb`,
        `tree/${a}/tree/etc`,
      ].sort(),
    );
    // What is counted is what is there.
    expect(cacheEntries(cache).reduce((sum, { bytes }) => sum + bytes, 0)).toBe(left);
  });

  it("takes uppers out of a layer by themselves, the one that was used least recently first", async () => {
    const cache = cacheOf({
      [`tree/${a}/tree/etc`]: 1,
      [`tree/${a}/upper-${b}/upper/srv`]: 2,
      [`tree/${a}/upper-${c}/upper/srv`]: 3,
    });
    const removed = async (maxBytes: number) =>
      (await clear(cache, maxBytes)).entries.map(({ entry }) => entry.path.slice(cache.length + 1));
    expect(await removed(2.5 * 64 * kib)).toEqual([`tree/${a}/upper-${c}`]);
    expect(await removed(1.5 * 64 * kib)).toEqual([`tree/${a}/upper-${b}`]);
    expect(inside(cache)).toEqual([`tree/${a}/tree/etc`]);
  });

  it("of everything leaves what has no name of ours", async () => {
    const cache = cacheOf({
      ...usual,
      "Documents/tax.part": 900,
      "packages/mine.deb.part": 900,
      [`tree/${a}x/tree/etc`]: 900,
      "image/other/disk": 900,
    });
    await clear(cache, 0);
    expect(inside(cache)).toEqual(
      [
        "Documents/tax.part",
        "accelerator-0.json",
        "image/other/disk",
        "packages/mine.deb.part",
        `tree/${a}x/tree/etc`,
      ].sort(),
    );
  });

  it("leaves what is in use, and what is in the making", async () => {
    const cache = cacheOf({
      ...usual,
      [`base/tree-${b}.new-Ab3dEf/tree/usr`]: 30,
      [`tree/${b}.new-Ab3dEg/tree/x`]: 0,
    });
    await hold(join(cache, "packages"));
    await hold(join(cache, `tree/${a}`));
    await hold(join(cache, `base/tree-${b}.new-Ab3dEf`));
    // Making it has taken long.
    utimesSync(join(cache, `base/tree-${b}.new-Ab3dEf`), 1, 1);
    const { entries } = await clear(cache, 0);
    const busy = entries.filter(({ outcome }) => outcome === "in use");
    expect(busy.map(({ entry }) => entry.path.slice(cache.length + 1)).sort()).toEqual(
      [
        `base/tree-${b}.new-Ab3dEf`,
        `packages/${hex("1", 64)}.deb`,
        `packages/${hex("2", 64)}.deb`,
        `tree/${a}`,
        `tree/${a}/disk-${b}`,
        `tree/${a}/filled-${b}-${a}`,
        `tree/${a}/initramfs-${b}`,
      ].sort(),
    );
    expect(existsSync(join(cache, `tree/${b}.new-Ab3dEg/tree/x`))).toBe(true);
    expect(existsSync(join(cache, `base/tree-${a}`))).toBe(false);
  });

  it("takes out what was left half-made, even where there is room", async () => {
    const cache = cacheOf({
      [`base/tree-${a}.new-Ab3dEf/tree/usr`]: 2,
      [`tree/${a}.gone-0011/x`]: 2,
      [`tree/${a}/tree/x`]: 2,
      [`tree/${a}/disk.new-aaaaaa/x`]: 2,
      [`packages/${hex("1", 64)}.deb.77.part`]: 2,
      [`index/${hex("2", 64)}.leaves.0123456789ab.tmp`]: 2,
      "stock-host-0123.55.tmp/x": 2,
    });
    await clear(cache, Number.MAX_SAFE_INTEGER);
    expect(inside(cache)).toEqual([`tree/${a}/tree/x`]);
  });

  it("only says what it would do when asked for that", async () => {
    const cache = cacheOf(usual);
    const before = inside(cache);
    const { freed, left } = await clear(cache, 0, true);
    expect(freed).toBeGreaterThan(10 * 64 * kib - 1);
    expect(left).toBe(64 * kib);
    expect(inside(cache)).toEqual(before);
    expect(await claim(join(cache, "packages"))).toMatchObject({ release: expect.any(Function) });
  });

  it("forgets which base a definition makes with that base, and follows no link out of the cache", async () => {
    const outside = cacheOf({ "precious/x": 99 });
    const cache = cacheOf({ [`base/tree-${a}/tree/usr`]: 2, [`base/tree-${b}/tree/usr`]: 1 });
    writeFileSync(join(cache, "base/known-1"), a);
    writeFileSync(join(cache, "base/known-2"), b);
    symlinkSync(join(outside, "precious"), join(cache, `base/tree-${a}/tree/link`));
    await clear(cache, 100 * kib);
    expect(inside(cache)).toEqual(["base/known-2", `base/tree-${b}/tree/usr`]);
    expect(inside(outside)).toEqual(["precious/x"]);
  });

  it("by two at once takes out everything once", async () => {
    const cache = cacheOf(usual);
    const [one, two] = await Promise.all([clear(cache, 0), clear(cache, 0)]);
    expect(inside(cache)).toEqual(["accelerator-0.json"]);
    const removed = [one, two].flatMap(({ entries }) =>
      entries.filter(({ outcome }) => outcome === "removed").map(({ entry }) => entry.path),
    );
    expect(new Set(removed).size).toBe(removed.length);
  });

  it("of no cache does nothing", async () => {
    expect(await clear(join(tempDir(), "none"), 0)).toEqual({ entries: [], freed: 0, left: 0 });
  });
});
