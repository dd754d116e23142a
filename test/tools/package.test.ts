import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
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

describe("the npm package", () => {
  it("installs where npm and make are, starts a repository, checks its types, and builds what the checkout builds", () => {
    ran(project, "node", "--import", "tsx", "scripts/package.ts");
    expect(statSync(shipped).size).toBeLessThan(maxBytes);
    const home = tempDir();
    ran(home, "npm", "install", ...npmOptions, shipped);
    const own = join(home, "node_modules/imgbuild");
    const files = readdirSync(own, { recursive: true, encoding: "utf8" });
    expect(files.filter((name) => /\.test\.|^(test|scripts)\//.test(name))).toEqual([]);
    const key = join(home, "key.pub");
    writeFileSync(key, `${adminKey} me\n`);
    const program = join(home, "node_modules/.bin/imgbuild");
    expect(ran(home, program, "--version")).toBe(`${version}\n`);
    expect(ran(home, program, "init", "web", "--key", key)).toContain("web/IMGBUILD.ts\n");

    const dir = join(home, "web");
    // No registry has it yet.
    ran(dir, "npm", "pkg", "set", `dependencies.imgbuild=file:${shipped}`);
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
});
