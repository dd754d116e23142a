import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { storePath } from "../../src/debian/http/places.ts";
import { parseLock } from "../../src/debian/lock/lock.ts";
import { chrootRun } from "../../src/system/door/chroot.ts";
import { run } from "../../src/system/run/run.ts";
import { smallDefinition } from "../helpers/builders/small-definition.ts";
import { web, webOfFiles } from "../helpers/labs/web.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const program = resolve("bin/imgbuild");

it("a lock builds when the archive has moved on: from a store without any network, from a served store, from a snapshot (F48)", async () => {
  const dir = tempDir();
  const [store, cache] = [join(dir, "store"), join(dir, "cache")];
  const moved = await web((_request, response) => response.writeHead(404).end());
  const { path, define } = smallDefinition(dir);
  const env = {
    ...(process.env as Record<string, string>),
    IMGBUILD_STORE_KEY: join(dir, "key.pem"),
    IMGBUILD_SNAPSHOT: "",
  };
  const imgbuild = async (
    argv: readonly string[],
    more: Record<string, string> = {},
    around: string[] = [],
  ) => await run([...around, program, ...argv], { env: { ...env, ...more }, timeoutMs: 1_500_000 });
  const build = async (output: string, more: Record<string, string> = {}, around: string[] = []) => {
    await imgbuild(
      ["build", path, "--format", "dir", "-o", join(dir, output)],
      { IMGBUILD_CACHE: cache, ...more },
      around,
    );
    const names = await chrootRun(join(dir, output), ["dpkg-query", "--show", `--showformat=\${Package}\\n`]);
    expect(names.stdout.trim().split("\n").sort()).toEqual(lock.packages.map(({ name }) => name).sort());
    rmSync(join(dir, output), { recursive: true });
  };
  /** Nothing of the definition's is in the cache any more, but the base is. */
  const forget = () => {
    for (const name of readdirSync(cache))
      if (/^(packages|tree.*)$/.test(name)) rmSync(join(cache, name), { recursive: true });
  };

  define({});
  await imgbuild(["lock", path]);
  const lock = parseLock(readFileSync(join(path, "imgbuild.lock.yaml"), "utf8"));
  const added = await imgbuild(["store", "add", path, "--store", store]);
  const key = /ed25519:\S+/.exec(added.stdout)![0];
  expect((await imgbuild(["store", "verify", store])).stdout).toMatch(/packages, \d+ MiB, all as the index/);

  // Base and tree, with an empty cache and no network at all.
  define({ mirror: moved.url, stores: [{ url: "../store", key }] });
  await build("alone", {}, ["unshare", "--net"]);
  // A build fills the store that it names: all of it is there.
  expect(existsSync(join(store, "index.txt"))).toBe(true);

  const served = await webOfFiles((asked) => join(store, asked));
  define({ mirror: moved.url, stores: [{ url: served.url, key }] });
  forget();
  await build("served");
  expect(new Set(served.asked)).toEqual(new Set(lock.packages.map((one) => `/${storePath(one)}`)));
  const check = await imgbuild(["lock", path, "--check"], { IMGBUILD_CACHE: cache });
  expect(check.stdout).toMatch(
    new RegExp(`^bash \\S+ is on no mirror any more, only in the store ${served.url}$`, "m"),
  );

  const byPath = new Map(
    lock.packages.map((one) => [`${one.archive}/${one.path}`, join(store, storePath(one))]),
  );
  const snapshots = await webOfFiles((asked) => {
    const [, archive, path] = /^\/archive\/(debian|debian-security)\/\d{8}T\d{6}Z\/(.*)$/.exec(asked) ?? [];
    return byPath.get(`${archive}/${path}`);
  });
  define({ mirror: moved.url });
  forget();
  await build("snapshot", { IMGBUILD_SNAPSHOT: `${snapshots.url}/archive` });
  expect(snapshots.asked.length).toBeGreaterThanOrEqual(lock.packages.length);

  // A package that was changed in the store comes into no tree.
  const bash = lock.packages.find(({ name }) => name === "bash")!;
  rmSync(join(store, storePath(bash)));
  writeFileSync(join(store, storePath(bash)), Buffer.alloc(bash.size));
  define({ mirror: moved.url, stores: [{ url: served.url, key }] });
  forget();
  await expect(build("changed")).rejects.toThrow(/SHA-256 differs/);
  await expect(imgbuild(["store", "verify", store])).rejects.toThrow(/bash .* has another SHA-256/);
});
