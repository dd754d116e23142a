import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { buildImage } from "../../src/operator/build/image.ts";
import { definitionDigest } from "../../src/operator/definition/digest.ts";
import { readFiles } from "../../src/operator/definition/files.ts";
import { makeLockFor, mirrorsFor } from "../../src/operator/lock/lock.ts";
import type { Lock } from "../../src/schema/lock.ts";
import { Spec } from "../../src/schema/spec.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { digestOf, sha256 } from "../../src/util/digest.ts";
import { silentLog } from "../../src/util/log.ts";
import { Secret } from "../../src/util/secret.ts";
import { root } from "../helpers/builders/storage.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const options = {
  cache: cacheRoot(process.env),
  env: process.env,
  log: silentLog,
  signal: new AbortController().signal,
};
// No kernel: what is tried here is how a tree comes into a disk.
const spec = Spec.parse({
  hostname: "layered",
  packages: { install: ["apt", "openssh-server", "systemd-sysv"] },
  storage: {
    disks: {
      system: {
        match: { serial: "S" },
        imageSize: "1GiB",
        table: { type: "gpt", partitions: [root] },
      },
    },
  },
  users: { admin: { keys: ["ssh-ed25519 AAAA me"] } },
  files: { "/etc/motd": { content: "layered\n" } },
  secrets: { token: { file: "token.age", path: "/etc/token" } },
});
/** The same with one package more, upon which nothing depends and which has no script. */
const withTree = Spec.parse({
  ...spec,
  packages: { install: ["apt", "openssh-server", "systemd-sysv", "tree"] },
});
/** A secret that takes the place of a file of that package. */
const ontoLeaf = "/usr/share/doc/tree/copyright";
let withSecretOnLeaf: readonly [Spec, Lock];
let plain: readonly [Spec, Lock];
let larger: readonly [Spec, Lock];
beforeAll(async () => {
  plain = [spec, await makeLockFor(spec, options)];
  larger = [withTree, await makeLockFor(withTree, options)];
  withSecretOnLeaf = [
    { ...withTree, secrets: { token: { ...spec.secrets.token!, path: ontoLeaf } } },
    larger[1],
  ];
});

/** A cache without any tree; packages, indices and base are shared. */
function emptyCache(): string {
  const cache = tempDir();
  for (const name of ["packages", "index", "base"]) symlinkSync(join(options.cache, name), join(cache, name));
  return cache;
}

/** Builds the definition with those files, as a raw disk, and gives back the disk. */
async function disk(
  cache: string,
  files: Readonly<Record<string, string>>,
  secret?: string,
  [spec, lock] = plain,
): Promise<string> {
  const dir = tempDir();
  mkdirSync(join(dir, "files"));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(dir, "files", path, ".."), { recursive: true });
    writeFileSync(join(dir, "files", path), content);
  }
  const read = readFiles(join(dir, "files"));
  const output = join(dir, "disk.raw");
  await buildImage(
    {
      spec,
      lock,
      definition: definitionDigest(spec, lock, read),
      files: read,
      filesDir: join(dir, "files"),
      mirrors: await mirrorsFor(spec, process.env),
      secrets:
        secret === undefined ? undefined : new Map([["token", new Secret("token", Buffer.from(secret))]]),
    },
    output,
    "raw",
    { ...options, cache },
  );
  return output;
}

const offset = 1024 * 1024;
const inside = (file: string) => `${file}?offset=${offset}`;
async function textIn(file: string, path: string): Promise<string> {
  return (await run(["debugfs", "-R", `cat ${path}`, inside(file)])).stdout;
}
/** All of a layer; the date of a part's own directory says when it was used. */
const listing = async (layer: string) =>
  (await run(["find", layer, "-mindepth", "2", "-printf", "%p %s %T@ %m %U\\n"])).stdout;
const layers = (cache: string) => readdirSync(join(cache, "tree")).filter((name) => !name.includes("."));

describe("a disk made from layers", () => {
  it("is the same whether they are there or not, and holds what was changed, in a filesystem without fault", async () => {
    const cache = emptyCache();
    const first = await disk(cache, { "srv/page": "one", "etc/deep/er/file": "x", "etc/motd": "mine" });
    const [layer] = layers(cache);
    const kept = await listing(join(cache, "tree", layer!));
    const files = { "srv/page": "two, and longer", "srv/new": "n", 'etc/with space "and" quotes': "q" };
    const warm = await disk(cache, files);
    const cold = await disk(emptyCache(), files);
    expect(sha256(readFileSync(warm))).toBe(sha256(readFileSync(cold)));
    expect(layers(cache)).toEqual([layer]);
    // What is in the cache was not written upon.
    expect(digestOf(await listing(join(cache, "tree", layer!)))).toBe(digestOf(kept));
    for (const file of [first, warm]) await run(["e2fsck", "-f", "-n", inside(file)]);
    expect(await textIn(first, "/srv/page")).toBe("one");
    expect([await textIn(warm, "/srv/page"), await textIn(warm, "/srv/new")]).toEqual([
      "two, and longer",
      "n",
    ]);
    expect(await textIn(warm, '"/etc/with space ""and"" quotes"')).toBe("q");
    expect(await textIn(first, "/etc/deep/er/file")).toBe("x");
    expect(await textIn(warm, "/etc/passwd")).toMatch(/^admin:x:1000:/m);
    expect(await textIn(warm, "/etc/deep/er/file")).toBe("");
  });

  it("is made by two builds at once, each whole, and left in the cache once", async () => {
    const cache = emptyCache();
    const files = { "srv/page": "one" };
    const build = () => disk(cache, files, undefined, larger);
    const [one, other] = await Promise.all([build(), build()]);
    expect(sha256(readFileSync(one))).toBe(sha256(readFileSync(other)));
    const [layer] = layers(cache);
    const parts = readdirSync(join(cache, "tree", layer!)).map((name) => name.replace(/-.*/, ""));
    expect(parts.sort()).toEqual(["disk", "filled", "tree", "upper"]);
  });

  it("leaves no secret in the cache, and none in the disk of who asks for none", async () => {
    const cache = emptyCache();
    const canary = "canary-5f1d0c9e";
    const built = async (secret?: string) => await disk(cache, {}, secret, withSecretOnLeaf);
    expect(await textIn(await built(canary), ontoLeaf)).toBe(canary);
    for (const path of [join(cache, "tree"), await built()]) {
      const found = await run(["grep", "--recursive", "--binary", "--files-with-matches", canary, path], {
        accept: [0, 1],
      });
      expect(found.stdout).toBe("");
    }
  });

  it("takes one package more upon the packages' layer, and is the same as one made from nothing", async () => {
    const cache = emptyCache();
    await disk(cache, {});
    const [layer] = layers(cache);
    const made = (kind: string) =>
      readdirSync(join(cache, "tree", layer!)).filter((name) => name.startsWith(`${kind}-`));
    expect([made("upper"), made("filled")]).toEqual([[], []]);
    const first = await disk(cache, {}, undefined, larger);
    const parts = [...made("upper"), ...made("filled")];
    expect(parts).toHaveLength(2);
    // What is edited then is laid upon the package that came later, too.
    const files = { "srv/page": "edited" };
    const warm = await disk(cache, files, undefined, larger);
    expect(layers(cache)).toEqual([layer]);
    expect([...made("upper"), ...made("filled")]).toEqual(parts);
    const cold = await disk(emptyCache(), files, undefined, larger);
    expect(sha256(readFileSync(warm))).toBe(sha256(readFileSync(cold)));
    expect(await textIn(first, "/srv/page")).toBe("");
    expect(await textIn(warm, "/var/lib/dpkg/status")).toMatch(
      /^Package: tree\nStatus: install ok installed$/m,
    );
    await run(["e2fsck", "-f", "-n", inside(warm)]);
    expect(await textIn(warm, "/var/lib/dpkg/info/tree.list")).toContain("/usr/bin/tree\n");
  });

  it("is made anew from a layer of which only a part is left in the cache", async () => {
    const cache = emptyCache();
    const whole = sha256(readFileSync(await disk(cache, {})));
    const [layer] = layers(cache);
    for (const name of readdirSync(join(cache, "tree", layer!)))
      if (name !== "tree") rmSync(join(cache, "tree", layer!, name), { recursive: true });
    expect(sha256(readFileSync(await disk(cache, {})))).toBe(whole);
  });
});
