import { chmodSync, existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  clearStaging,
  fetchAndStage,
  holdStaging,
  placeAll,
  runPreinsts,
  stagingPath,
  unregistered,
} from "../../../../src/steps/packages/unpack.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { makeDeb } from "../../../helpers/builders/deb.ts";
import { emptyTree, stage } from "../../../helpers/builders/placing.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";

describe("fetchAndStage", () => {
  it("brings packages, unpacks them beside the tree, shows how far it is, and gives them free", async () => {
    const root = emptyTree();
    const debs = ["a", "b"].map((name) => makeDeb(name, { data: [{ name: `./${name}`, content: name }] }));
    const packages = debs.map(({ locked }) => locked);
    const packagePath = (one: { name: string }) => ({
      ...{ outside: debs.find(({ locked }) => locked.name === one.name)!.file, inside: "" },
    });
    const { context, asked, said } = stepBench({ root, context: { packagePath } });
    const staged = await fetchAndStage(packages, context, context.log, { lanes: 1 });
    expect(asked).toEqual(["fetch a b", "release a b"]);
    expect(said).toEqual(["progress 1/2 packages", "progress 2/2 packages"]);
    expect(staged.map(({ locked }) => locked.name)).toEqual(["a", "b"]);
    const waiting = join(root, stagingPath, "a");
    expect(lstatSync(waiting).mode & 0o777).toBe(0o700);
    expect(readdirSync(waiting)).toHaveLength(2);
    expect(existsSync(join(root, "a"))).toBe(false);
    clearStaging(root);
    expect(existsSync(join(root, stagingPath))).toBe(false);
  });

  it("asks for nothing where there are no packages", async () => {
    const { context, asked } = stepBench({ root: emptyTree() });
    expect(await fetchAndStage([], context, context.log)).toEqual([]);
    expect([asked, existsSync(join(context.root, stagingPath))]).toEqual([[], false]);
  });

  it.each([
    ["the step's own signal", undefined],
    ["another signal", new AbortController().signal],
  ])("unpacks by a tool that ends by %s and by its bound", async (_what, signal) => {
    const { file, locked } = makeDeb("packed", {});
    const xz = file.replace(/\.deb$/, "-xz.deb");
    // What it holds is called xz, so a filter is asked for it.
    writeFileSync(xz, readFileSync(file, "latin1").replace("data.tar    ", "data.tar.xz "), "latin1");
    const given: unknown[] = [];
    const stop = new Error("seen");
    const { context } = stepBench({
      root: emptyTree(),
      context: {
        packagePath: () => ({ outside: xz, inside: "" }),
        filter: async (_argv, options) => {
          given.push(options.signal, options.timeoutMs);
          throw stop;
        },
      },
    });
    const own = signal === undefined ? {} : { signal };
    await expect(fetchAndStage([locked], context, context.log, own)).rejects.toBe(stop);
    expect(given).toEqual([signal ?? context.signal, 2 * 3_600_000]);
  });
});

describe("holdStaging", () => {
  it("gives a way to the place that stays until all of it is cleared", () => {
    const root = emptyTree();
    const [one, two] = [holdStaging(root, "one"), holdStaging(root, "two")];
    expect([one, two].map((path) => existsSync(path))).toEqual([true, true]);
    chmodSync(one, 0o700);
    clearStaging(root);
    expect([one, two].map((path) => existsSync(path))).toEqual([false, false]);
    clearStaging(root);
  });
});

describe("placeAll", () => {
  it("places what it can and registers it with dpkg; what is out of the ordinary is left to dpkg, with the reason", async () => {
    const root = emptyTree();
    const { context, said } = stepBench({ root });
    const fine = await stage("fine", { data: [{ name: "./fine", content: "f" }] });
    const odd = await stage("odd", { data: [{ name: "./odd", flag: "3" }] });
    const left = placeAll([odd, fine], { root, owners: new Map() }, { bootstrap: false, log: context.log });
    expect(left).toEqual([odd.locked]);
    expect(said).toEqual(["info odd is left to dpkg: /odd is a device or a pipe"]);
    expect(readFileSync(join(root, "fine"), "utf8")).toBe("f");
    const status = readFileSync(join(root, "var/lib/dpkg/status"), "utf8");
    expect([...status.matchAll(/^Package: (.*)$/gm)].map((match) => match[1])).toEqual(["fine"]);
    expect(unregistered(root, [odd.locked, fine.locked])).toEqual([odd.locked]);
  });
});

describe("runPreinsts", () => {
  it("gives each script that there is its package's control files, in order, in one run", async () => {
    const root = emptyTree();
    const { context, asked, options } = stepBench({ root });
    const [a, b, c] = [
      await stage("a", { control: { preinst: "#!/bin/sh\n", templates: "t" } }),
      await stage("b", {}),
      await stage("c", { control: { preinst: "#!/bin/sh\n" } }),
    ];
    await runPreinsts([c!, b!, a!], context, { HOME: "/root" }, "1.22");
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatch(
      /^tree: \/bin\/sh -c .* preinst \/var\/lib\/dpkg\/tmp\.ci\.c c amd64 \/var\/lib\/dpkg\/tmp\.ci\.a a amd64$/s,
    );
    const [{ env, timeoutMs, signal, hint }] = options as [(typeof options)[0]];
    expect(env).toEqual({
      HOME: "/root",
      DPKG_ADMINDIR: "/var/lib/dpkg",
      DPKG_ROOT: "",
      DPKG_MAINTSCRIPT_NAME: "preinst",
      DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT: "1",
      DPKG_MAINTSCRIPT_DEBUG: "0",
      DPKG_RUNNING_VERSION: "1.22",
    });
    expect([timeoutMs, signal]).toEqual([3_600_000, context.signal]);
    expect(hint).toMatch(/maintainer script failed/);
    const files = join(root, "var/lib/dpkg/tmp.ci.a");
    expect(readdirSync(files).sort()).toEqual(["control", "preinst", "templates"]);
    expect(lstatSync(join(files, "preinst")).mode & 0o777).toBe(0o755);
    expect(existsSync(join(root, "var/lib/dpkg/tmp.ci.b"))).toBe(false);
  });

  it("runs nothing where no package has one, and says what failed", async () => {
    const { context, asked } = stepBench({ root: emptyTree() });
    await runPreinsts([await stage("b", {})], context, {}, "1");
    expect(asked).toEqual([]);
    const failing = stepBench({ root: emptyTree(), answers: { "tree: /bin/sh": new Fail("exited 1") } });
    const a = await stage("a", { control: { preinst: "#!/bin/sh\n" } });
    await expect(runPreinsts([a], failing.context, {}, "1")).rejects.toThrow(
      "running preinst scripts: exited 1",
    );
  });
});
