import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fetchAll, fetchPackage } from "../../../../src/debian/http/fetch.ts";
import type { LockedPackage } from "../../../../src/schema/lock.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { portal, web, webOf } from "../../../helpers/labs/web.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

function locked(name: string, bytes: Buffer, archive: LockedPackage["archive"] = "debian"): LockedPackage {
  return {
    name,
    version: "1.0",
    architecture: "amd64",
    archive,
    path: `pool/main/${name}.deb`,
    size: bytes.length,
    sha256: sha256(bytes),
    requested: false,
    bootstrap: false,
  };
}

const bytesOf = (name: string) => Buffer.from(`!<arch>\n${name}\n`.repeat(20));
const bounds = { windowMs: 5_000, leastBytes: 1, pauseMs: 1 };

describe("fetchPackage", () => {
  it("fetches from the mirrors of the package's own archive, once", async () => {
    const main = await webOf(new Map([["pool/main/a.deb", bytesOf("a")]]));
    const security = await webOf(new Map([["pool/main/s.deb", bytesOf("s")]]));
    const options = {
      mirrors: { debian: [main.url], "debian-security": [security.url] },
      dir: tempDir(),
      bounds,
    };
    const a = locked("a", bytesOf("a"));
    const s = locked("s", bytesOf("s"), "debian-security");
    for (let time = 0; time < 2; time++) {
      expect(readFileSync(await fetchPackage(a, options))).toEqual(bytesOf("a"));
      expect(readFileSync(await fetchPackage(s, options))).toEqual(bytesOf("s"));
    }
    expect(main.asked).toEqual(["/pool/main/a.deb"]);
    expect(security.asked).toEqual(["/pool/main/s.deb"]);
  });

  it.each<[string, (good: string, forged: string) => string | undefined, RegExp, RegExp]>([
    [
      "the lock",
      (good) => good,
      /the signed index agrees with the lock, so the mirror serves another/,
      /MIRROR/,
    ],
    [
      "the mirror",
      (_, came) => came,
      /the signed index agrees with what came, so the lock was changed/,
      /lock --update/,
    ],
    [
      "neither",
      () => "0".repeat(64),
      /the signed index says 000000000000…, so the lock was changed/,
      /restore/,
    ],
    ["nobody, as there is none", () => undefined, /what came has [0-9a-f]{12}…$/, /lock --check/],
  ])("says that a signed index agrees with %s, and blames no network", async (_name, says, message, hint) => {
    const [good, came] = [bytesOf("a"), bytesOf("b")];
    const main = await webOf(new Map([["pool/main/a.deb", came]]));
    const dead = `${main.url}/none`;
    const options = { mirrors: { debian: [main.url, dead] }, dir: tempDir(), bounds };
    const signed = async () => says(sha256(good), sha256(came));
    await expect(fetchPackage(locked("a", good), { ...options, signed })).rejects.toMatchObject({
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    });
    await expect(fetchPackage(locked("a", good), { ...options, signed })).rejects.toMatchObject({
      hint: expect.not.stringMatching(/network/),
    });
  });

  it("asks stores and snapshots, in that order, for what the mirrors have dropped, and for nothing else (F48)", async () => {
    const [a, b, s] = ["a", "b", "s"].map((name) => locked(name, bytesOf(name))) as [
      LockedPackage,
      LockedPackage,
      LockedPackage,
    ];
    const mirror = await webOf(new Map([["pool/main/a.deb", bytesOf("a")]]));
    const store = await webOf(new Map([[`packages/${b.sha256}.deb`, bytesOf("b")]]));
    const snapshot = await webOf(new Map([["debian/20240601T120000Z/pool/main/s.deb", bytesOf("s")]]));
    const keepers = {
      stores: [store.url],
      snapshots: { debian: [`${snapshot.url}/debian/20240601T120000Z`] },
    };
    const options = { mirrors: { debian: [mirror.url] }, keepers, dir: tempDir(), bounds };
    await fetchPackage(a, options);
    expect([store.asked, snapshot.asked]).toEqual([[], []]);
    expect(readFileSync(await fetchPackage(b, options))).toEqual(bytesOf("b"));
    expect(snapshot.asked).toEqual([]);
    expect(readFileSync(await fetchPackage(s, options))).toEqual(bytesOf("s"));
    expect(store.asked).toEqual([b, s].map(({ sha256: sum }) => `/packages/${sum}.deb`));
  });

  it("takes no other package from a store, and names every place that was asked", async () => {
    const a = locked("a", bytesOf("a"));
    const mirror = await webOf(new Map());
    const store = await webOf(new Map([[`packages/${a.sha256}.deb`, bytesOf("b")]]));
    const snapshot = await webOf(new Map());
    const keepers = { stores: [store.url], snapshots: { debian: [snapshot.url] } };
    const dir = tempDir();
    const error = await fetchPackage(a, { mirrors: { debian: [mirror.url] }, keepers, dir, bounds }).catch(
      (thrown: Error) => thrown.message,
    );
    for (const { url } of [mirror, store, snapshot]) expect(error).toContain(`${url}: `);
    expect(error).toMatch(/SHA-256 differs/);
    expect(readdirSync(dir)).toEqual([]);
  });

  it("never keeps what a login page says", async () => {
    const page = await portal();
    const dir = tempDir();
    const options = { mirrors: { debian: [page.url] }, dir, bounds };
    await expect(fetchPackage(locked("a", bytesOf("a")), options)).rejects.toThrow(/cannot be fetched/);
    expect(readdirSync(dir)).toEqual([]);
  });

  it.each([
    ["cut", (good: Buffer) => good.subarray(0, 7)],
    ["of the right size and wrong content", (good: Buffer) => Buffer.alloc(good.length, 1)],
  ])("fetches anew what lies in the cache %s", async (_name, spoil) => {
    const main = await webOf(new Map([["pool/main/a.deb", bytesOf("a")]]));
    const a = locked("a", bytesOf("a"));
    const dir = join(tempDir(), "deeper");
    mkdirSync(dir);
    writeFileSync(join(dir, `${a.sha256}.deb`), spoil(bytesOf("a")));
    const file = await fetchPackage(a, { mirrors: { debian: [main.url] }, dir, bounds });
    expect(readFileSync(file)).toEqual(bytesOf("a"));
    expect(main.asked).toHaveLength(1);
  });
});

describe("fetchAll", () => {
  it("fetches all and counts what came over the network", async () => {
    const names = Array.from({ length: 20 }, (_, index) => `p${index}`);
    const main = await webOf(new Map(names.map((name) => [`pool/main/${name}.deb`, bytesOf(name)])));
    const packages = names.map((name) => locked(name, bytesOf(name)));
    const options = { mirrors: { debian: [main.url] }, dir: tempDir(), bounds };
    await fetchPackage(packages[0]!, options);
    expect(await fetchAll(packages, options)).toEqual({
      packages: 19,
      bytes: packages.slice(1).reduce((sum, one) => sum + one.size, 0),
    });
    expect(await fetchAll(packages, options)).toEqual({ packages: 0, bytes: 0 });
  });

  it("does not wait for a dead mirror at each package while a store has them", async () => {
    const names = Array.from({ length: 40 }, (_, index) => `p${index}`);
    const packages = names.map((name) => locked(name, bytesOf(name)));
    const dead = await web((request) => void request.socket.destroy());
    const store = await webOf(
      new Map(names.map((name) => [`packages/${sha256(bytesOf(name))}.deb`, bytesOf(name)])),
    );
    const keepers = { stores: [store.url], snapshots: {} };
    const options = { mirrors: { debian: [dead.url] }, keepers, dir: tempDir(), bounds };
    expect(await fetchAll(packages, options)).toMatchObject({ packages: 40 });
    // Three times for each that was begun before it was known.
    expect(dead.asked.length).toBeLessThan(40);
  });

  it("fails when one package cannot be had", async () => {
    const main = await webOf(new Map([["pool/main/a.deb", bytesOf("a")]]));
    const packages = [locked("a", bytesOf("a")), locked("gone", bytesOf("gone"))];
    const options = { mirrors: { debian: [main.url] }, dir: tempDir(), bounds };
    await expect(fetchAll(packages, options)).rejects.toThrow(/pool\/main\/gone.deb cannot be fetched/);
  });
});
