import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { environment, program, warmCache } from "../helpers/labs/cli-lab.ts";
import { makeUser, start } from "../helpers/labs/ordinary-user.ts";
import { linkOrCopyAll } from "../helpers/link-or-copy.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const minuteMs = 60_000;
beforeAll(warmCache);

describe("a build while the cache is cleared of everything", () => {
  it("keeps all that it uses, and the cache is empty when it has ended", async () => {
    const dir = tempDir();
    const cache = join(dir, "cache");
    // A cache of its own, with the packages and the base of the usual one.
    mkdirSync(join(cache, "packages"), { recursive: true });
    const usual = cacheRoot(process.env);
    await linkOrCopyAll([join(usual, "packages"), join(usual, "index")], cache);
    const base = readdirSync(join(usual, "base")).filter(
      (name) => name.startsWith("tree-") && !name.includes("."),
    );
    const known = readdirSync(join(usual, "base")).filter((name) => name.startsWith("known-"));
    const newest = known.map((name) => readFileSync(join(usual, "base", name), "utf8"));
    mkdirSync(join(cache, "base"));
    for (const name of base.filter((one) => newest.includes(one.slice("tree-".length))))
      await linkOrCopyAll([join(usual, "base", name)], join(cache, "base"));
    for (const name of known) cpSync(join(usual, "base", name), join(cache, "base", name));
    const env = { ...environment, IMGBUILD_CACHE: cache };
    const output = join(dir, "out/waiting.raw");
    mkdirSync(join(dir, "out"));
    const waiting = ["--import", "tsx", "test/helpers/labs/build-waiting.ts", cache, output];
    const build = start(["nice", "-n", "19", process.execPath, ...waiting], 10 * minuteMs);
    onTestFinished(async () => {
      build.child.kill("SIGTERM");
      await build.ended;
    });
    await build.until("running the script wait", 5 * minuteMs);
    const gc = async () => (await run([program, "cache", "gc", "--max-size", "0"], { env })).stdout;
    expect(await gc()).toMatch(/^\d+ things of .* are in use and stay$/m);
    const layer = join(cache, "tree", readdirSync(join(cache, "tree"))[0]!);
    expect(existsSync(join(layer, "tree/etc/debian_version"))).toBe(true);
    const [work] = readdirSync(join(dir, "out"));
    writeFileSync(join(dir, "out", work!, "tree/srv/go"), "");
    expect(await build.ended).toMatchObject({ code: 0 });
    await run(["e2fsck", "-f", "-n", `${output}?offset=${2 ** 20}`]);
    expect(await gc()).toMatch(/^freed /m);
    for (const name of ["packages", "base", "tree", "index"])
      expect(readdirSync(join(cache, name)), name).toEqual([]);
  });
});

describe("an ordinary user's cache", () => {
  it("is cleared of trees whose files have many owners, by that user, and by root", async () => {
    const user = await makeUser("with ids");
    onTestFinished(async () => await user.remove());
    const digest = "a".repeat(32);
    const tree = join(user.cache, `tree-${digest.slice(0, 8)}`, digest);
    const make = async () => {
      // As a build leaves it: files of subordinate ids in directories that only they may write.
      const script = `mkdir -p "$1/tree/etc" && echo x > "$1/tree/etc/shadow" && chown -R 1:42 "$1/tree/etc" && chmod 0500 "$1/tree/etc"`;
      const inside = ["unshare", "--map-root-user", "--map-auto", "sh", "-c", script, "sh", tree];
      await run(user.argv(inside), { env: environment });
      const owner = (await run(["stat", "-c", "%u", join(tree, "tree/etc")])).stdout.trim();
      expect(Number(owner)).toBeGreaterThan(65_535);
    };
    await make();
    const shown = await run(user.argv(["bin/imgbuild", "cache", "show"]), { env: environment });
    expect(shown.stdout).toMatch(/^trees +1 /m);
    const cleared = await run(user.argv(["bin/imgbuild", "cache", "gc", "--max-size", "0"]), {
      env: environment,
    });
    expect(cleared.stdout).toMatch(/^removed tree-a+\/a+ \(trees, /m);
    expect(existsSync(tree)).toBe(false);

    await make();
    const env = { ...environment, IMGBUILD_CACHE: user.cache };
    await run([program, "cache", "gc", "--max-size", "0"], { env });
    expect(existsSync(tree)).toBe(false);
  });

  it("keeps what root has put there, and its owner is told", async () => {
    const user = await makeUser("with ids");
    onTestFinished(async () => await user.remove());
    const base = join(user.cache, "base", "b".repeat(32));
    mkdirSync(base, { recursive: true });
    writeFileSync(join(base, "kernel"), "x");
    const gc = await run(user.argv(["bin/imgbuild", "cache", "gc", "--max-size", "0"]), { env: environment });
    expect(gc.stderr).toMatch(/1 things are another user's, as .*base\/b+: `sudo rm -r`/);
    expect(readFileSync(join(base, "kernel"), "utf8")).toBe("x");
  });
});
