import { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { StagedPackage } from "../../../../src/debian/unpack/stage.ts";
import type { LockedPackage } from "../../../../src/schema/lock.ts";
import {
  dpkg,
  type Installing,
  installStagedLeaves,
  placeOthers,
  quiet,
  unpackByDpkg,
  withDpkg,
} from "../../../../src/steps/packages/dpkg.ts";
import { holdStaging, scriptEnv, stagingPath } from "../../../../src/steps/packages/unpack.ts";
import { emptyTree, stage } from "../../../helpers/builders/placing.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";

const locked = (name: string, more: Partial<LockedPackage> = {}): LockedPackage => ({
  ...{ name, version: "1", architecture: "amd64", archive: "debian", path: `pool/${name}.deb`, size: 1 },
  ...{ sha256: "0".repeat(64), requested: true, bootstrap: false },
  ...more,
});
const query =
  "tree: dpkg-query --show --showformat $" + "{Package} $" + "{Version} $" + "{db:Status-Abbrev}\\n";
const dpkgLine = (rest: string) => `tree: dpkg --force-unsafe-io --force-confold ${rest}`;

function bench(root: string, installed = "", answers: Answers = {}) {
  return stepBench({ root, answers: { [query]: { stdout: installed }, ...answers } });
}

/** A tree in which a policy can be put. */
function tree(): string {
  const root = emptyTree();
  mkdirSync(join(root, "usr/sbin"), { recursive: true });
  return root;
}

const installing = (...configured: string[]): Installing => ({
  ...{ env: scriptEnv, dpkgVersion: "1.22", configured: new Set(configured) },
});

describe("withDpkg", () => {
  it("starts no services meanwhile, and leaves nothing of that", async () => {
    const root = tree();
    const policy = join(root, "usr/sbin/policy-rc.d");
    let seen = false;
    await withDpkg(bench(root, "a 1 ii \n").context, [locked("a")], [], async () => {
      seen = true;
      expect(readFileSync(policy, "utf8")).toBe("#!/bin/sh\nexit 101\n");
      expect(lstatSync(policy).mode & 0o777).toBe(0o755);
      expect(lstatSync(join(root, "var/lib/apt/lists/partial")).isDirectory()).toBe(true);
      holdStaging(root, "a");
    });
    expect(seen).toBe(true);
    expect([existsSync(policy), existsSync(join(root, stagingPath))]).toEqual([false, false]);
  });

  it("gives its work the scripts' environment, dpkg's version, and what is configured", async () => {
    const packages = [locked("a"), locked("dpkg", { version: "1.22.1" })];
    const seen: Installing[] = [];
    const { context } = bench(tree(), "a 1 ii \ndpkg 1.22.1 ii \n");
    await withDpkg(context, packages, ["dpkg"], async (one) => void seen.push(one));
    expect(seen).toEqual([{ env: scriptEnv, dpkgVersion: "1.22.1", configured: new Set(["dpkg"]) }]);
    expect(scriptEnv).toMatchObject({ DEBIAN_FRONTEND: "noninteractive", INITRD: "No" });
    const without = bench(tree(), "a 1 ii \n");
    await withDpkg(without.context, [locked("a")], [], async (one) => void seen.push(one));
    expect(seen[1]!.dpkgVersion).toBe("");
  });

  it("marks for apt what may go when nothing needs it: what is neither asked for nor essential", async () => {
    const root = tree();
    const packages = [
      ...[locked("z", { requested: false }), locked("asked")],
      ...[locked("base-files", { requested: false, bootstrap: true }), locked("b", { requested: false })],
    ];
    const all = packages.map(({ name }) => `${name} 1 ii \n`).join("");
    await withDpkg(bench(root, all).context, packages, [], async () => {});
    expect(readFileSync(join(root, "var/lib/apt/extended_states"), "utf8")).toBe(
      ["b", "z"].map((name) => `Package: ${name}\nArchitecture: amd64\nAuto-Installed: 1\n\n`).join(""),
    );
  });

  it.each([
    ["unpacked and not configured", "a 1 iU \nb 2 ii \n", "1 packages are not installed as locked: a 1 iU "],
    ["configured by half", "a 1 iF \nb 2 ii \n", "a 1 iF "],
    ["in need of being installed again", "a 1 iiR\nb 2 ii \n", "a 1 iiR"],
    ["of another version", "a 1 ii \nb 2.1 ii \n", "b 2.1 ii "],
    ["unknown to dpkg", "a 1 ii \n", "1 packages are not installed as locked: b"],
    ["all wrong", "a 1 iU \nb 2 iU \n", "2 packages are not installed as locked: a 1 iU ; b 2 iU "],
  ])("refuses packages that are %s", async (_what, installed, message) => {
    const { context } = bench(tree(), installed);
    await expect(
      withDpkg(context, [locked("a"), locked("b", { version: "2" })], [], async () => {}),
    ).rejects.toThrow(message);
  });

  it("refuses what dpkg complains of, and takes its exit code 1 for that alone", async () => {
    const installed = "a 1 ii \nmore 1 ii \n";
    const run = async (answers: Answers) => {
      const made = bench(tree(), installed, answers);
      await withDpkg(made.context, [locked("a")], [], async () => {});
      return made.asked;
    };
    expect(await run({})).toEqual([query, "tree: dpkg --audit"]);
    await run({ "tree: dpkg --audit": { code: 1, stdout: "\n" } });
    const complaint = { code: 1, stdout: "a is half-configured\n" };
    await expect(run({ "tree: dpkg --audit": complaint })).rejects.toThrow(
      "dpkg --audit complains:\na is half-configured",
    );
    await expect(run({ "tree: dpkg --audit": { code: 2 } })).rejects.toThrow("exited 2");
  });
});

describe("dpkg", () => {
  it("keeps edited files, is bounded, and counts the packages that it sets up", async () => {
    const { context, asked, options, said } = bench("/nowhere");
    await dpkg(context, ["--configure", "a"], { env: { A: "b" }, log: context.log, total: 2 });
    expect(asked).toEqual([dpkgLine("--configure a")]);
    const [{ onLine, env, timeoutMs, signal }] = options as [(typeof options)[0]];
    expect([env, timeoutMs, signal]).toEqual([{ A: "b" }, 4 * 3_600_000, context.signal]);
    for (const line of ["Unpacking a", "Setting up a (1) ...", "Not Setting up b", "Setting up b (1) ..."])
      onLine!(line);
    expect(said).toEqual(["progress 1/2 packages", "progress 2/2 packages"]);
    onLine!("Setting up c (1) ...");
    expect(said.at(-1)).toBe("progress 2/2 packages");
  });

  it("says nothing of its progress where others do", () => {
    const { context, said } = bench("/nowhere");
    const log = quiet(context.log);
    log.progress(1, 2, "packages");
    log.info("heard");
    expect(said).toEqual(["info heard"]);
  });
});

describe("unpackByDpkg", () => {
  it("brings packages, has dpkg unpack them in the order given, and gives them free", async () => {
    const { context, asked, said, options } = bench("/nowhere");
    await unpackByDpkg(context, [locked("b"), locked("a")], { A: "b" });
    expect(asked).toEqual([
      "fetch b a",
      dpkgLine("--force-depends --unpack /inside/b.deb /inside/a.deb"),
      "release b a",
    ]);
    options[0]!.onLine!("Setting up a (1) ...");
    expect([said, options[0]!.env]).toEqual([[], { A: "b" }]);
  });

  it("asks for nothing where there is nothing to unpack", async () => {
    const { context, asked } = bench("/nowhere");
    await unpackByDpkg(context, [], {});
    expect(asked).toEqual([]);
  });
});

describe("placeOthers", () => {
  const withPreinst = { control: { preinst: "#!/bin/sh\n" } };
  const preinst = (name: string) => `preinst /var/lib/dpkg/tmp.ci.${name} ${name} amd64`;
  const short = (asked: readonly string[]) =>
    asked.map((line) =>
      line.startsWith("tree: /bin/sh -c") ? line.slice(line.lastIndexOf("preinst ")) : line,
    );

  async function placed(packages: readonly StagedPackage[], root = emptyTree(), about = installing()) {
    const made = bench(root);
    await placeOthers(made.context, packages, about);
    return { ...made, root, about };
  }

  it("runs preinst scripts before files are placed, and configures what the next pre-depend on first", async () => {
    const first = await stage("first", { ...withPreinst, data: [{ name: "./f", content: "f" }] });
    const second = await stage("second", {
      ...withPreinst,
      fields: "Pre-Depends: first\n",
      data: [{ name: "./s", content: "s" }],
    });
    const { asked, root, about, options, said } = await placed([second, first]);
    expect(short(asked)).toEqual([
      preinst("first"),
      dpkgLine("--no-triggers --configure first"),
      preinst("second"),
    ]);
    expect([...about.configured]).toEqual(["first"]);
    expect(["f", "s"].map((path) => readFileSync(join(root, path), "utf8"))).toEqual(["f", "s"]);
    expect(options.map(({ env }) => env?.DEBIAN_FRONTEND)).toEqual(Array(3).fill("noninteractive"));
    expect(options[0]!.env?.DPKG_RUNNING_VERSION).toBe("1.22");
    options[1]!.onLine!("Setting up first (1) ...");
    expect(said).toEqual([]);
  });

  it("waits for nothing that is configured already", async () => {
    const second = await stage("second", { fields: "Pre-Depends: first\n" });
    expect((await placed([second], emptyTree(), installing("first"))).asked).toEqual([]);
  });

  it("knows what the tree has already: whose its files are, and what dpkg knows", async () => {
    const root = emptyTree();
    writeFileSync(join(root, "var/lib/dpkg/info/old.list"), "/.\n/etc/shared\n");
    writeFileSync(
      join(root, "var/lib/dpkg/status"),
      "Package: old\nStatus: install ok unpacked\nVersion: 1\n\n",
    );
    mkdirSync(join(root, "etc"));
    const mine = await stage("mine", {
      fields: "Pre-Depends: old\n",
      data: [{ name: "./etc/shared", content: "x" }],
    });
    const other = await stage("other", {});
    const { asked, said } = await placed([mine, other], root);
    expect(asked).toEqual([
      dpkgLine("--no-triggers --configure old"),
      "fetch mine",
      dpkgLine("--force-depends --unpack /inside/mine.deb"),
      "release mine",
    ]);
    expect(said).toEqual(["info mine is left to dpkg: /etc/shared is also in old"]);
  });
});

describe("installStagedLeaves", () => {
  it("places them and has dpkg configure what is pending, triggers too", async () => {
    const root = emptyTree();
    const leaf = await stage("leaf", { data: [{ name: "./leaf", content: "l" }] });
    const { context, asked, said, options } = bench(root);
    await installStagedLeaves(context, [leaf], installing());
    expect(asked).toEqual([dpkgLine("--configure --pending")]);
    expect(said).toEqual(["task placing 1 more packages", "task configuring 1 more packages"]);
    expect(existsSync(join(root, "leaf"))).toBe(true);
    options[0]!.onLine!("Setting up leaf (1) ...");
    expect(said.at(-1)).toBe("progress 1/1 packages");
    expect(options[0]!.env).toBe(scriptEnv);
  });

  it("does nothing where there are none", async () => {
    const { context, asked, said } = bench(emptyTree());
    await installStagedLeaves(context, [], installing());
    expect([asked, said]).toEqual([[], []]);
  });
});
