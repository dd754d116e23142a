import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fillStore, fillStores } from "../../../../src/operator/store/fill-store.ts";
import { onlyHere } from "../../../../src/operator/store/only-here.ts";
import { signedIndex } from "../../../../src/operator/store/store-index.ts";
import { isSignedBy, publicStoreKey, storeKey } from "../../../../src/operator/store/store-key.ts";
import { thinStore } from "../../../../src/operator/store/thin-store.ts";
import { verifyStore } from "../../../../src/operator/store/verify-store.ts";
import { whereKept } from "../../../../src/operator/store/where-kept.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { type Log, silentLog } from "../../../../src/util/log.ts";
import { bytesOf, definition, mirrorOf, operator } from "../../../helpers/builders/filling.ts";
import { web } from "../../../helpers/labs/web.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const packagesIn = (dir: string) => readdirSync(join(dir, "packages")).sort();
const fileOf = (name: string) => `${sha256(bytesOf(name))}.deb`;

/** A store with these packages, and whom it belongs to. */
async function filled(...names: string[]) {
  const dir = join(tempDir(), "store");
  const outside = operator();
  const mirror = await mirrorOf(...names);
  const result = await fillStore([definition(names, mirror)], dir, outside);
  return { dir, outside, mirror, ...result };
}

describe("fillStore", () => {
  it("keeps each package by its SHA-256, signed by a key that it makes beside the identity", async () => {
    const { dir, outside, publicKey, packages, added } = await filled("aa", "bb");
    expect({ packages, added }).toEqual({ packages: 2, added: 2 });
    expect(packagesIn(dir)).toEqual([fileOf("aa"), fileOf("bb")].sort());
    const keyFile = join(outside.env.HOME, ".config/imgbuild/store-key.pem");
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    expect(await publicStoreKey(outside.env)).toBe(publicKey);
    const { index } = await verifyStore(dir, publicKey, outside);
    expect(index.packages.map(({ name }) => name).sort()).toEqual(["aa", "bb"]);
  });

  it("costs the cache's space once, and fetches nothing that the store has", async () => {
    const { dir, outside, mirror } = await filled("aa");
    expect(statSync(join(dir, "packages", fileOf("aa"))).ino).toBe(
      statSync(join(outside.cache, "packages", fileOf("aa"))).ino,
    );
    const again = await fillStore([definition(["aa"], mirror)], dir, { ...outside, cache: tempDir() });
    expect(again).toMatchObject({ packages: 1, added: 0 });
    expect(mirror.asked).toHaveLength(1);
  });

  it("takes from other stores what no mirror has", async () => {
    const old = await filled("aa");
    const moved = await mirrorOf();
    const stores = [{ url: old.dir, key: old.publicKey }];
    const dir = join(tempDir(), "second");
    expect(await fillStore([definition(["aa"], moved, stores)], dir, operator())).toMatchObject({ added: 1 });
    expect(packagesIn(dir)).toEqual([fileOf("aa")]);
  });

  it("leaves the store whole when it is interrupted, and goes on the next time", async () => {
    const { dir, outside, publicKey } = await filled("aa");
    const mirror = await mirrorOf("bb");
    // The second of them is nowhere: what came is not in the index yet.
    const broken = definition(["bb", "gone"], mirror);
    await expect(fillStore([broken], dir, outside)).rejects.toThrow(/gone_1\.deb cannot be fetched/);
    expect((await verifyStore(dir, publicKey, outside)).index.packages).toHaveLength(1);
    // What a killed run may leave: half a file under the package's name, and one in the making.
    writeFileSync(join(dir, "packages", fileOf("bb")), Buffer.alloc(bytesOf("bb").length));
    writeFileSync(join(dir, "packages", `${fileOf("bb")}.1.part`), "half");
    expect((await verifyStore(dir, publicKey, outside)).unlisted).toHaveLength(2);
    await fillStore([definition(["bb"], mirror)], dir, outside);
    const { index, unlisted } = await verifyStore(dir, publicKey, outside);
    expect(index.packages).toHaveLength(2);
    expect(unlisted).toEqual([`${fileOf("bb")}.1.part`]);
  });

  it("refuses a store that another key signs", async () => {
    const { dir, mirror } = await filled("aa");
    const before = readFileSync(join(dir, "index.txt"));
    await expect(fillStore([definition(["aa"], mirror)], dir, operator())).rejects.toThrow(
      /is signed by ed25519:/,
    );
    expect(readFileSync(join(dir, "index.txt"))).toEqual(before);
  });

  it("does as a part of a build only warn, and leaves alone what is no directory here", async () => {
    const { dir, mirror } = await filled("aa");
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (text: string) => void warnings.push(text) };
    const log2: Log = { ...log, task: async (_name, work) => await work(log2) };
    const stores = [`file://${dir}`, "https://store.example.org", "file:///nonexistent/store"];
    await fillStores({ ...definition(["aa"], mirror), stores }, operator(log2));
    expect(warnings).toEqual([expect.stringMatching(/the store .* was not filled: .*signed by/)]);
  });
});

describe("verifyStore", () => {
  it.each([
    [
      "is changed",
      (file: string) => writeFileSync(file, Buffer.alloc(bytesOf("aa").length)),
      /has another SHA-256/,
    ],
    ["is cut", (file: string) => writeFileSync(file, "!<arch>"), /has 7 bytes instead of/],
    ["is gone", (file: string) => rmSync(file), /is missing/],
  ])("refuses a store in which a package %s, and names it", async (_name, spoil, message) => {
    const { dir, outside, publicKey } = await filled("aa", "bb");
    spoil(join(dir, "packages", fileOf("aa")));
    await expect(verifyStore(dir, publicKey, outside)).rejects.toThrow(message);
    await expect(verifyStore(dir, publicKey, outside)).rejects.toThrow(/aa 1 \(packages\//);
  });

  it("refuses a forged index: another key, another text, or no signature", async () => {
    const { dir, outside, publicKey } = await filled("aa");
    const file = join(dir, "index.txt");
    const good = readFileSync(file, "utf8");
    const stranger = await storeKey(operator().env);
    writeFileSync(file, signedIndex([], stranger, new Date()));
    await expect(verifyStore(dir, publicKey, outside)).rejects.toThrow(/is signed by/);
    // The stranger's signature in the owner's name.
    writeFileSync(file, signedIndex([], stranger, new Date()).replace(stranger.publicKey, publicKey));
    await expect(verifyStore(dir, publicKey, outside)).rejects.toThrow(/forged or damaged/);
    writeFileSync(file, good.replace('"version":"1"', '"version":"2"'));
    await expect(verifyStore(dir, publicKey, outside)).rejects.toThrow(/forged or damaged/);
    writeFileSync(file, good.split("\n").slice(1).join("\n"));
    await expect(verifyStore(dir, publicKey, outside)).rejects.toThrow(/is no index/);
    writeFileSync(file, good);
    await verifyStore(dir, publicKey, outside);
  });
});

describe("thinStore", () => {
  it("removes what none of the locks needs, and nothing else", async () => {
    const { dir, outside, publicKey, mirror } = await filled("aa", "bb", "cc");
    appendFileSync(join(dir, "packages", "left.part"), "x");
    const keep = ["aa", "cc"].map((name) => definition([name], mirror).lock);
    expect(await thinStore(dir, keep, { ...outside, dryRun: true })).toMatchObject({ kept: 2, removed: 2 });
    expect(packagesIn(dir)).toHaveLength(4);
    expect(await thinStore(dir, keep, outside)).toMatchObject({ kept: 2, removed: 2 });
    expect(packagesIn(dir)).toEqual([fileOf("aa"), fileOf("cc")].sort());
    expect((await verifyStore(dir, publicKey, outside)).index.packages).toHaveLength(2);
  });

  it("touches no directory that is no store, nor another's", async () => {
    const dir = tempDir();
    mkdirSync(join(dir, "packages"));
    writeFileSync(join(dir, "packages", "mine"), "x");
    await expect(thinStore(dir, [], operator())).rejects.toThrow(/is no store/);
    expect(packagesIn(dir)).toEqual(["mine"]);
    const { dir: other } = await filled("aa");
    await expect(thinStore(other, [], operator())).rejects.toThrow(/signed by/);
    expect(packagesIn(other)).toHaveLength(1);
  });
});

describe("onlyHere", () => {
  it("takes along what only a directory of this machine has, as the lock has it", async () => {
    const store = await filled("aa", "bb", "cc");
    const { lock } = definition(["aa", "bb", "cc", "dd"], store.mirror);
    const mirror = await mirrorOf("aa");
    writeFileSync(join(store.dir, "packages", fileOf("cc")), bytesOf("dd"));
    const keepers = { stores: [`file://${store.dir}`], snapshots: {} };
    const along = await onlyHere(lock.packages, { mirrors: { debian: [mirror.url] }, keepers }, operator());
    expect([...along]).toEqual([[`packages/${fileOf("bb")}`, bytesOf("bb")]]);
  });

  it("asks nothing where no store is a directory", async () => {
    const mirror = await mirrorOf();
    const { lock } = definition(["aa"], mirror);
    const keepers = { stores: ["https://store.example.org"], snapshots: {} };
    const places = { mirrors: { debian: [mirror.url] }, keepers };
    expect((await onlyHere(lock.packages, places, operator())).size).toBe(0);
    expect(mirror.asked).toEqual([]);
  });
});

describe("whereKept", () => {
  it("names what is only in a store or in a snapshot any more, and what is nowhere", async () => {
    const store = await filled("bb");
    const mirror = await mirrorOf("aa");
    const snapshot = await web((request, response) => {
      const has = /^\/debian\/\d{8}T\d{6}Z\/pool\/main\/cc_1\.deb$/.test(request.url ?? "");
      response.writeHead(has ? 200 : 404).end(has ? bytesOf("cc") : "");
    });
    const outside = operator();
    const env = { ...outside.env, IMGBUILD_SNAPSHOT: snapshot.url };
    const stores = [{ url: store.dir, key: store.publicKey }];
    const { lines, lost } = await whereKept(definition(["aa", "bb", "cc", "dd"], mirror, stores), {
      ...outside,
      env,
    });
    expect(lines).toEqual([
      `bb 1 is on no mirror any more, only in the store file://${store.dir}`,
      expect.stringMatching(/^cc 1 is on no mirror any more, only in the snapshot http:.*\/debian\/2024060/),
    ]);
    expect(lost).toEqual(["dd 1"]);
  });

  it("warns of a store whose index another key has signed", async () => {
    const store = await filled("aa");
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (text: string) => void warnings.push(text) };
    const { publicKey } = await storeKey(operator().env);
    const stores = [{ url: store.dir, key: publicKey }];
    await whereKept(definition(["aa"], await mirrorOf("aa"), stores), operator(log));
    expect(warnings).toEqual([expect.stringMatching(/index\.txt is signed by/)]);
  });
});

describe("the store's key", () => {
  it("signs, and is the same each time", async () => {
    const { env } = operator();
    const key = await storeKey(env);
    expect((await storeKey(env)).publicKey).toBe(key.publicKey);
    const text = Buffer.from("index");
    expect(isSignedBy(key.publicKey, text, key.sign(text))).toBe(true);
    expect(isSignedBy(key.publicKey, Buffer.from("Index"), key.sign(text))).toBe(false);
    expect(isSignedBy("ed25519:AAAA", text, key.sign(text))).toBe(false);
  });

  it("is never replaced when its file is damaged", async () => {
    const { env } = operator();
    const { file } = await storeKey(env);
    writeFileSync(file, "damaged");
    await expect(storeKey(env)).rejects.toThrow(/is no Ed25519 private key/);
    expect(readFileSync(file, "utf8")).toBe("damaged");
  });
});
