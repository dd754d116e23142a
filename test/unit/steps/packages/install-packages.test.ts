import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { LockedPackage } from "../../../../src/schema/lock.ts";
import { bootstrapTree } from "../../../../src/steps/packages/bootstrap-tree.ts";
import { installLeaves } from "../../../../src/steps/packages/install-leaves.ts";
import { installPackages } from "../../../../src/steps/packages/install-packages.ts";
import { scriptPath } from "../../../../src/steps/packages/module-index.ts";
import { stagingPath } from "../../../../src/steps/packages/unpack.ts";
import { makeDeb } from "../../../helpers/builders/deb.ts";
import { emptyTree } from "../../../helpers/builders/placing.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";

interface Given {
  readonly locked?: Partial<LockedPackage>;
  readonly control?: Readonly<Record<string, string>>;
}

/** Packages, each with a file of its name, that the tree's dpkg says to have installed. */
function bench(given: Readonly<Record<string, Given>>, root = emptyTree(), answers: Answers = {}) {
  mkdirSync(join(root, "usr/sbin"), { recursive: true });
  const made = Object.entries(given).map(([name, { locked, control = {} }]) => {
    const deb = makeDeb(name, { control, data: [{ name: `./${name}.txt`, content: name }] });
    return { file: deb.file, locked: { ...deb.locked, ...locked } };
  });
  const packages = made.map(({ locked }) => locked);
  const packagePath = ({ name }: LockedPackage) => ({
    ...{ outside: made.find(({ locked }) => locked.name === name)!.file, inside: `/inside/${name}.deb` },
  });
  const one = stepBench({
    root,
    answers: {
      "tree: dpkg-query": { stdout: packages.map(({ name }) => `${name} 1 ii \n`).join("") },
      ...answers,
    },
    context: { packagePath },
  });
  /** Of dpkg's command lines and of preinst scripts the end, in order. */
  const story = () =>
    one.asked
      .filter((line) => !/dpkg-query|--audit|^release/.test(line))
      .map((line) => line.replace("tree: dpkg --force-unsafe-io --force-confold ", "dpkg "))
      .map((line) => (line.includes("/bin/sh -c") ? line.slice(line.lastIndexOf("\n") + 1).trim() : line));
  return { ...one, packages, root, story };
}

const essential = { locked: { bootstrap: true } };
const needs = (...depends: string[]) => ({ locked: { depends } });

describe("install-packages", () => {
  it("configures the essential ones while the others are unpacked, then places and configures those, leaves last", async () => {
    const one = bench({
      base: { locked: { bootstrap: true, depends: [] } },
      server: { ...needs("library"), control: { postinst: "#!/bin/sh\n" } },
      library: needs(),
      leaf: needs("library"),
    });
    await installPackages.run({ packages: one.packages }, one.context);
    // The tree knows no essential package yet, so dpkg unpacks it first.
    expect(one.story()).toEqual([
      "fetch base",
      "dpkg --force-depends --unpack /inside/base.deb",
      "dpkg --no-triggers --force-depends --configure base",
      "fetch server library leaf",
      "dpkg --configure --pending",
      "dpkg --configure --pending",
    ]);
    expect(one.said.filter((line) => line.startsWith("task"))).toEqual([
      "task configuring 1 essential packages",
      "task placing 2 packages",
      "task configuring 2 packages",
      "task placing 1 more packages",
      "task configuring 1 more packages",
    ]);
    for (const name of ["server", "library", "leaf"])
      expect(existsSync(join(one.root, `${name}.txt`))).toBe(true);
    expect(existsSync(join(one.root, stagingPath))).toBe(false);
  });

  it("does not ask for essential packages that the tree knows", async () => {
    const root = emptyTree();
    writeFileSync(
      join(root, "var/lib/dpkg/status"),
      "Package: base\nStatus: install ok unpacked\nVersion: 1\nArchitecture: amd64\n\n",
    );
    const one = bench({ base: essential, other: {} }, root);
    await installPackages.run({ packages: one.packages }, one.context);
    expect(one.story()).toEqual([
      "dpkg --no-triggers --force-depends --configure base",
      "fetch other",
      "dpkg --configure --pending",
    ]);
  });

  it("unpacks a kernel while the others are configured, and makes the index of its modules once", async () => {
    const one = bench({
      base: { locked: { bootstrap: true, depends: [] } },
      server: { ...needs(), control: { postinst: "#!/bin/sh\n" } },
      kernel: { locked: { depends: [], size: 30 * 2 ** 20 }, control: { postinst: "#!/bin/sh\n" } },
    });
    await installPackages.run({ packages: one.packages }, one.context);
    expect(one.story().slice(2)).toEqual([
      "dpkg --no-triggers --force-depends --configure base",
      "fetch server",
      "dpkg --no-triggers --configure --pending",
      "fetch kernel",
      "dpkg --configure --pending",
    ]);
    expect(one.said.filter((line) => line.startsWith("task")).slice(1)).toEqual([
      "task placing 1 packages",
      "task configuring 1 packages",
      "task placing 1 heavy packages",
      "task configuring 1 packages",
    ]);
    const last = one.options.filter((_one, at) => one.asked[at]!.includes("--configure")).at(-1)!;
    expect(last.env?.PATH).toBe(scriptPath);
  });

  it("gives scripts their usual path where no kernel comes", async () => {
    const one = bench({ base: essential, other: {} });
    await installPackages.run({ packages: one.packages }, one.context);
    expect(one.options.every(({ env }) => !env?.PATH?.includes(stagingPath))).toBe(true);
  });

  it("stops unpacking when the essential packages cannot be configured", async () => {
    const failed = new Error("postinst failed");
    const one = bench({ base: essential, other: {} }, emptyTree(), {
      "tree: dpkg --force-unsafe-io --force-confold --no-triggers": failed,
    });
    await expect(installPackages.run({ packages: one.packages }, one.context)).rejects.toBe(failed);
    expect(existsSync(join(one.root, "other.txt"))).toBe(false);
  });
});

describe("install-leaves", () => {
  it("does the last part alone, upon a tree that has the others", async () => {
    const one = bench({ base: essential, server: needs(), leaf: needs() });
    await installLeaves.run({ packages: one.packages, leaves: ["leaf"] }, one.context);
    expect(one.story()).toEqual(["fetch leaf", "dpkg --configure --pending"]);
    expect(existsSync(join(one.root, "leaf.txt"))).toBe(true);
    expect(existsSync(join(one.root, "server.txt"))).toBe(false);
  });

  it("takes what is not among the leaves for configured", async () => {
    const root = emptyTree();
    writeFileSync(
      join(root, "var/lib/dpkg/status"),
      "Package: server\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n",
    );
    const one = bench({ server: needs(), leaf: needs("server") }, root);
    await installLeaves.run({ packages: one.packages, leaves: ["leaf"] }, one.context);
    expect(one.story()).toEqual(["fetch leaf", "dpkg --configure --pending"]);
  });
});

describe("bootstrap-tree", () => {
  it("lays the tree out, places essential packages with conffiles, and then runs their preinst scripts", async () => {
    const root = join(emptyTree(), "new");
    const one = bench(
      {
        dpkg: { locked: { bootstrap: true, version: "1.22" } },
        bash: { ...essential, control: { preinst: "#!/bin/sh\n", conffiles: "/bash.txt\n" } },
      },
      emptyTree(),
    );
    await bootstrapTree.run({ packages: one.packages }, { ...one.context, root });
    expect(["bin", "sbin", "lib", "lib64"].map((name) => readlinkSync(join(root, name)))).toEqual(
      ["bin", "sbin", "lib", "lib64"].map((name) => `usr/${name}`),
    );
    const modes = ["", "dev", "proc", "sys", "run", "tmp", "etc", "usr/lib64"].map((name) =>
      (lstatSync(join(root, name)).mode & 0o7777).toString(8),
    );
    expect(modes).toEqual(["755", "755", "555", "555", "755", "1777", "755", "755"]);
    // Nothing waits for dpkg: the conffile is in its place.
    expect(readFileSync(join(root, "bash.txt"), "utf8")).toBe("bash");
    expect(one.story()).toEqual(["fetch dpkg bash", expect.stringMatching(/tmp\.ci\.bash bash amd64$/)]);
    expect(one.options.at(-1)!.env?.DPKG_RUNNING_VERSION).toBe("1.22");
    expect(existsSync(join(root, stagingPath))).toBe(false);
    expect(readFileSync(join(root, "var/lib/dpkg/status"), "utf8")).toMatch(
      /^Package: dpkg$.*^Package: bash$/ms,
    );
  });

  it("refuses packages without dpkg, and makes nothing", async () => {
    const one = bench({ bash: essential });
    const root = join(one.root, "new");
    await expect(bootstrapTree.run({ packages: one.packages }, { ...one.context, root })).rejects.toThrow(
      "dpkg is not among the essential packages",
    );
    expect(existsSync(root)).toBe(false);
  });
});
