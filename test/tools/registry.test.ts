import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { keepersFor } from "../../src/debian/archive/keepers.ts";
import { fetchAll } from "../../src/debian/http/fetch.ts";
import { parseLock } from "../../src/debian/lock/lock.ts";
import { fillStore } from "../../src/operator/store/fill-store.ts";
import { onlyHere } from "../../src/operator/store/only-here.ts";
import { thinStore } from "../../src/operator/store/thin-store.ts";
import { verifyStore } from "../../src/operator/store/verify-store.ts";
import { whereKept } from "../../src/operator/store/where-kept.ts";
import type { LockedPackage } from "../../src/schema/lock.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { sha256 } from "../../src/util/digest.ts";
import { silentLog } from "../../src/util/log.ts";
import { serverSpec } from "../helpers/builders/deployable.ts";
import { bytesOf, definition, mirrorOf, operator } from "../helpers/builders/filling.ts";
import { lockedPackage, lockOf } from "../helpers/builders/lock.ts";
import { smallDefinition } from "../helpers/builders/small-definition.ts";
import { imgbuild } from "../helpers/imgbuild.ts";
import { logInAt, login, registryLab } from "../helpers/labs/registry.ts";
import { web } from "../helpers/labs/web.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const sumOf = (name: string) => sha256(bytesOf(name));

/** Fetches what no mirror has any more, as a build does; gives the directory. */
async function fetchFrom(store: string, packages: readonly LockedPackage[], env: Record<string, string>) {
  const gone = await mirrorOf();
  const spec = serverSpec({ system: { stores: [{ url: store, key: `ed25519:${"A".repeat(43)}=` }] } });
  const dir = tempDir();
  const keepers = keepersFor({ spec, lock: lockOf(packages) }, { ...env, IMGBUILD_SNAPSHOT: "" });
  const mirrors = { debian: [gone.url], "debian-security": [gone.url] };
  await fetchAll(packages, { mirrors, keepers, dir });
  return dir;
}

const [aa] = lockOf([lockedPackage("aa", "1", { size: bytesOf("aa").length, sha256: sumOf("aa") })]).packages;
const fetched = async (store: string, env: Record<string, string>) =>
  readFileSync(join(await fetchFrom(store, [aa!], env), `${sumOf("aa")}.deb`));

describe("a store in a registry", () => {
  it("keeps every package of a lock, gives them back when the archive has moved on (F48)", async () => {
    const { host, blob } = await registryLab();
    const dir = tempDir();
    const store = `oci://${host}/team/packages`;
    const moved = await web((_request, response) => response.writeHead(404).end());
    const { path, define } = smallDefinition(dir);
    const env = {
      ...process.env,
      HOME: join(dir, "home"),
      IMGBUILD_CACHE: cacheRoot(process.env),
      IMGBUILD_STORE_KEY: join(dir, "key.pem"),
      IMGBUILD_SNAPSHOT: "",
    };
    const run = async (args: readonly string[], more: Record<string, string> = {}) =>
      await imgbuild(args, { env: { ...env, ...more }, timeoutMs: 600_000 });
    const done = async (args: readonly string[], more: Record<string, string> = {}) => {
      const { code, stdout, stderr } = await run(args, more);
      expect(code, stderr).toBe(0);
      return stdout;
    };
    define({});
    await done(["lock", path]);
    const { packages } = parseLock(readFileSync(join(path, "imgbuild.lock.yaml"), "utf8"));
    const added = await done(["store", "add", path, "--store", store]);
    const key = /ed25519:\S+/.exec(added)![0];
    expect(await done(["store", "add", path, "--store", store])).toMatch(/ 0 of them new/);
    expect(await done(["store", "verify", store])).toMatch(/packages, \d+ MiB, all as the index/);

    define({ mirror: moved.url, stores: [{ url: store, key }] });
    expect(readdirSync(await fetchFrom(store, packages, {}))).toHaveLength(packages.length);
    expect(await done(["lock", path, "--check"])).toMatch(
      new RegExp(`^bash \\S+ is on no mirror any more, only in the store ${store}$`, "m"),
    );

    // One is changed where the registry keeps it, another is lost.
    const [bash, dpkg] = ["bash", "dpkg"].map((name) => packages.find((one) => one.name === name)!);
    const whole = readFileSync(blob(bash!.sha256));
    writeFileSync(blob(bash!.sha256), Buffer.alloc(bash!.size));
    await expect(fetchFrom(store, packages, {})).rejects.toThrow(/bash_.*SHA-256 differs/);
    expect((await run(["store", "verify", store])).stderr).toMatch(
      /damaged:\n *bash \S+ \(packages\/\S+\) .*SHA-256 differs/,
    );
    writeFileSync(blob(bash!.sha256), whole);
    const lost = readFileSync(blob(dpkg!.sha256));
    rmSync(blob(dpkg!.sha256));
    const missing = await run(["store", "verify", store]);
    expect(missing.stderr).toMatch(/is damaged:\n *dpkg \S+ \(packages\/\S+\) the server answered 404/);
    await expect(fetchFrom(store, packages, {})).rejects.toThrow(`${store}: the server answered 404`);
    // Who fills it next mends it.
    define({});
    expect(await done(["store", "add", path, "--store", store])).toMatch(/ 1 of them new/);
    expect(readFileSync(blob(dpkg!.sha256))).toEqual(lost);
  });

  it("is thinned by an index without what no lock needs, which the registry frees, and is not another's to fill", async () => {
    const { host, blob, collect } = await registryLab();
    const store = `oci://${host}/kept`;
    const outside = operator();
    const mirror = await mirrorOf("aa", "bb");
    const { publicKey } = await fillStore([definition(["aa", "bb"], mirror)], store, outside);
    const keep = [definition(["aa"], mirror).lock];
    expect(await thinStore(store, keep, { ...outside, dryRun: true })).toMatchObject({ kept: 1, removed: 1 });
    expect((await verifyStore(store, publicKey, outside)).index.packages).toHaveLength(2);
    expect(await thinStore(store, keep, outside)).toMatchObject({ kept: 1, removed: 1 });
    expect((await verifyStore(store, publicKey, outside)).index.packages).toHaveLength(1);
    collect();
    expect([existsSync(blob(sumOf("aa"))), existsSync(blob(sumOf("bb")))]).toEqual([true, false]);
    expect((await verifyStore(store, publicKey, outside)).index.packages).toHaveLength(1);
    expect(await fillStore([definition(["aa", "bb"], mirror)], store, outside)).toMatchObject({ added: 1 });
    expect((await verifyStore(store, publicKey, outside)).index.packages).toHaveLength(2);
    await expect(fillStore([definition(["aa"], mirror)], store, operator())).rejects.toThrow(/is signed by/);
    await expect(verifyStore(`oci://${host}/nothing`, publicKey, outside)).rejects.toThrow(/is no store/);
  });

  it("is read and filled with the login of Docker's file or that of containers, and without it refused", async () => {
    const { host, log } = await registryLab("basic");
    const store = `oci://${host}/kept`;
    const outside = operator();
    const fill = async () =>
      await fillStore([definition(["aa"], await mirrorOf("aa"))], store, { ...outside, cache: tempDir() });
    await expect(fill()).rejects.toThrow(`${store}: the registry answered 401`);
    logInAt(outside.env.HOME, host, "wrong");
    await expect(fill()).rejects.toMatchObject({ hint: `podman login ${host}, as somebody who may` });
    logInAt(outside.env.HOME, host);
    expect(await fill()).toMatchObject({ added: 1 });
    await expect(fetched(store, {})).rejects.toThrow(/401 \(it wants another login\)/);
    expect(await fetched(store, outside.env)).toEqual(bytesOf("aa"));
    const config = tempDir();
    mkdirSync(join(config, "containers"));
    const file = readFileSync(join(outside.env.HOME, ".docker/config.json"));
    writeFileSync(join(config, "containers/auth.json"), file);
    expect(await fetched(store, { XDG_CONFIG_HOME: config })).toEqual(bytesOf("aa"));
    expect(log()).not.toContain(login.password);

    // A target has no login, so what only this registry has goes along.
    const mirror = await mirrorOf();
    const { spec, lock } = definition(["aa"], mirror, [{ url: store, key: `ed25519:${"A".repeat(43)}=` }]);
    const keepers = keepersFor({ spec, lock }, outside.env);
    const along = await onlyHere(lock.packages, { mirrors: { debian: [mirror.url] }, keepers }, outside);
    expect([...along]).toEqual([[`packages/${sumOf("aa")}.deb`, bytesOf("aa")]]);
  });

  it("is read by a token that everybody gets, and filled by one that the login gets", async () => {
    const { host, tokens } = await registryLab("token");
    const store = `oci://${host}/kept`;
    const outside = operator();
    const fill = async () => await fillStore([definition(["aa"], await mirrorOf("aa"))], store, outside);
    await expect(fill()).rejects.toMatchObject({
      message: expect.stringMatching(/cannot be put into .*: the server answered 401/),
      hint: `podman login ${host}, as somebody who may write there`,
    });
    logInAt(outside.env.HOME, host);
    const { publicKey } = await fill();
    expect(await fetched(store, {})).toEqual(bytesOf("aa"));
    expect(tokens!.asked).toContain("/token?service=registry&scope=repository%3Akept%3Apull%2Cpush");
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (text: string) => void warnings.push(text) };
    const kept = definition(["aa"], await mirrorOf(), [{ url: store, key: publicKey }]);
    const { lines } = await whereKept(kept, { ...operator(), log });
    expect(lines).toEqual([`aa 1 is on no mirror any more, only in the store ${store}`]);
    expect(warnings).toEqual([]);
  });
});
