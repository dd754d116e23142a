import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { adminKey } from "../helpers/builders/deployable.ts";
import { project } from "../helpers/imgbuild.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const maxBytes = 3 * 2 ** 20;
const { version } = JSON.parse(readFileSync("package.json", "utf8"));
const shipped = join(project, `out/imgbuild-${version}.tgz`);

const npmOptions = ["--no-audit", "--no-fund", "--prefer-offline"];

/** Runs a program there; throws with what it said where it fails. */
function ran(cwd: string, ...[program, ...args]: readonly [string, ...string[]]): string {
  // An identity that is made goes into a home of its own; packages come from the usual cache.
  const env = { ...process.env, XDG_CONFIG_HOME: join(cwd, "config") };
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: "utf8", env });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stdout}${stderr}`);
  return stdout;
}

/** A directory with the key of an administrator in it. */
function homeWithKey(): { home: string; key: string } {
  const home = tempDir();
  const key = join(home, "key.pub");
  writeFileSync(key, `${adminKey} me\n`);
  return { home, key };
}

beforeAll(() => {
  ran(project, "node", "--import", "tsx", "scripts/package.ts");
});

describe("the npm package", () => {
  it("installs where npm and make are, starts a repository, checks its types, and builds what the checkout builds", () => {
    expect(statSync(shipped).size).toBeLessThan(maxBytes);
    const { home, key } = homeWithKey();
    ran(home, "npm", "install", ...npmOptions, shipped);
    const own = join(home, "node_modules/imgbuild");
    const files = readdirSync(own, { recursive: true, encoding: "utf8" });
    expect(files.filter((name) => /\.test\.|^(test|scripts)\//.test(name))).toEqual([]);
    for (const name of ["IMGBUILD.ts", "imgbuild.lock.yaml", "init"])
      expect(files).toContain(join("initramfs", name));
    expect(ran(home, "npx", "imgbuild", "--version")).toBe(`${version}\n`);
    const program = join(home, "node_modules/.bin/imgbuild");
    expect(ran(home, program, "init", "web", "--key", key)).toContain("web/IMGBUILD.ts\n");

    const dir = join(home, "web");
    const definition = join(dir, "IMGBUILD.ts");
    const text = readFileSync(definition, "utf8").replace("CHANGE-ME", "SERIAL-1");
    writeFileSync(definition, text.replace("hostname:", "hostnam:"));
    expect(() => ran(dir, "make", "check")).toThrow(/hostnam/);
    writeFileSync(definition, text);
    ran(dir, "make", "image");
    ran(dir, join(project, "bin/imgbuild"), "build", ".", "-o", "out/checkout.raw");
    // Fails where they differ.
    ran(dir, "cmp", "out/system.raw", "out/checkout.raw");
    expect(() => ran(dir, "make", "plan")).toThrow("say which host");
  });

  it("makes the directory in which it was installed a repository, of that very package", () => {
    const { home, key } = homeWithKey();
    const dir = join(home, "web");
    mkdirSync(dir);
    copyFileSync(shipped, join(home, "imgbuild.tgz"));
    ran(dir, "npm", "install", ...npmOptions, "../imgbuild.tgz");
    const printed = ran(dir, "npx", "imgbuild", "init", ".", "--disk", "SERIAL-1", "--key", key);
    expect(printed).toContain("next: edit IMGBUILD.ts, then `make test`");
    expect(JSON.parse(readFileSync(join(dir, "package.json"), "utf8"))).toMatchObject({
      ...{ name: "web", type: "module", dependencies: { imgbuild: "file:../imgbuild.tgz" } },
    });
    ran(dir, "make", "check");
    // And one of several hosts, with what they share.
    const texts = {
      "hosts.yaml": "hosts:\n  one:\n  two: { definition: hosts/one, parameters: { hostname: two } }\n",
      "shared/names.yaml": "install: [nginx]\n",
      "shared/packages.ts":
        'import names from "./names.yaml";\nexport const packages: string[] = names.install;\n',
      "hosts/one/IMGBUILD.ts": [
        'import { imageWith, z } from "imgbuild/parameters";',
        'import { packages } from "../../shared/packages.ts";',
        'export default imageWith({ hostname: z.string().default("one") }, ({ hostname }) => ({',
        "  hostname,",
        "  packages: { install: packages },",
        "}));\n",
      ].join("\n"),
    };
    for (const [path, text] of Object.entries(texts)) {
      mkdirSync(join(dir, path, ".."), { recursive: true });
      writeFileSync(join(dir, path), text);
    }
    ran(dir, "make", "check");
    expect(ran(dir, "npx", "imgbuild", "hosts")).toMatch(/^one .*\ntwo +hosts\/one /);
    for (const name of ["one", "two"]) ran(dir, "npx", "imgbuild", "secrets", "check", name);
  });

  it("installed for all, is a command that works from any directory", () => {
    const { home, key } = homeWithKey();
    const place = join(home, "global");
    ran(home, "npm", "install", "--global", "--prefix", place, ...npmOptions, shipped);
    const program = join(place, "bin/imgbuild");
    expect(ran("/", program, "--version")).toBe(`${version}\n`);
    ran(home, program, "init", "web", "--disk", "SERIAL-1", "--key", key);
    expect(ran(home, program, "lock", "web")).toMatch(/imgbuild\.lock\.yaml: \d+ packages/);
  });

  it("has in its types what the sources say of each field", () => {
    const types = join(project, "out/package/dist/types/schema");
    const [spec, storage] = ["spec", "storage-content"].map((name) =>
      readFileSync(join(types, `${name}.d.ts`), "utf8"),
    ) as [string, string];
    for (const name of ["spec", "storage-content"]) {
      const source = readFileSync(`src/schema/${name}.ts`, "utf8");
      const said = [...source.matchAll(/^ +(\/\*\* .* \*\/)\n +\w+[:,]/gm)].map(([, comment]) => comment!);
      expect(said.length).toBeGreaterThan(10);
      expect(said.filter((comment) => !`${spec}${storage}`.includes(comment))).toEqual([]);
    }
    expect(spec).toMatch(/\/\*\* The gateway is outside[^\n]*\n +gatewayOnLink: /);
  });

  it("needs no correction before it is published", () => {
    const dir = tempDir();
    const text = readFileSync("out/package/package.json", "utf8");
    writeFileSync(join(dir, "package.json"), text);
    ran(dir, "npm", "pkg", "fix");
    expect(JSON.parse(readFileSync(join(dir, "package.json"), "utf8"))).toEqual(JSON.parse(text));
    const publish = ["publish", "--dry-run", "--tag", "next", join(project, "out/package")];
    const { status, stderr } = spawnSync("npm", publish, { cwd: dir, encoding: "utf8" });
    // Only who has logged in can publish.
    const warnings = stderr.match(/^npm (warn|error) .*$/gim)?.filter((line) => !line.includes("logged in"));
    expect({ status, warnings: warnings ?? [] }).toEqual({ status: 0, warnings: [] });
  });
});
