import { spawnSync } from "node:child_process";
import { appendFileSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { adminKey } from "../helpers/builders/deployable.ts";
import { project } from "../helpers/imgbuild.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const maxBytes = 3 * 2 ** 20;
const { version, devDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
const shipped = join(project, `out/imgbuild-${version}.tgz`);

/** Runs a program there; throws with what it said where it fails. */
function ran(cwd: string, ...[program, ...args]: readonly [string, ...string[]]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stdout}${stderr}`);
  return stdout;
}

/** An empty project with the package in it, as a user makes one. */
function installed(): string {
  ran(project, "node", "--import", "tsx", "scripts/package.ts");
  const dir = tempDir();
  writeFileSync(join(dir, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const others = ["typescript", "@types/node"].map((name) => `${name}@${devDependencies[name]}`);
  ran(dir, "npm", "install", "--no-audit", "--no-fund", "--prefer-offline", shipped, ...others);
  return dir;
}

describe("the npm package", () => {
  it("installs into an empty project, checks a definition's types, and builds what the checkout builds", () => {
    const dir = installed();
    const own = join(dir, "node_modules/imgbuild");
    const files = readdirSync(own, { recursive: true, encoding: "utf8" });
    expect(files.filter((name) => /\.test\.|^(test|scripts)\//.test(name))).toEqual([]);
    expect(statSync(shipped).size).toBeLessThan(maxBytes);

    const imgbuild = (...args: readonly string[]) => ran(dir, "node_modules/.bin/imgbuild", ...args);
    expect(imgbuild("--version")).toBe(`${version}\n`);
    imgbuild("init", "web");
    const definition = join(dir, "web/IMGBUILD.ts");
    const text = readFileSync(definition, "utf8").replace("CHANGE-ME", "SERIAL-1");
    writeFileSync(definition, text);
    appendFileSync(join(dir, "web/authorized_keys"), `${adminKey} me\n`);
    writeFileSync(
      join(dir, "web/IMGBUILD.test.ts"),
      [
        'import { test } from "imgbuild/testing";',
        'test("answers", async ({ machine }) => {',
        '  await machine.fail("false");',
        "});",
        "",
      ].join("\n"),
    );
    const strict = { target: "es2023", module: "nodenext", strict: true, noEmit: true, types: ["node"] };
    writeFileSync(join(dir, "tsconfig.json"), JSON.stringify({ compilerOptions: strict, include: ["web"] }));
    const tsc = () => ran(dir, "node_modules/.bin/tsc");
    expect(tsc()).toBe("");
    writeFileSync(definition, text.replace("hostname:", "hostnam:"));
    expect(tsc).toThrow(/hostnam/);
    writeFileSync(definition, text);

    imgbuild("lock", "web");
    imgbuild("build", "web", "-o", "package.raw");
    ran(dir, join(project, "bin/imgbuild"), "build", "web", "-o", "checkout.raw");
    // Fails where they differ.
    ran(dir, "cmp", "package.raw", "checkout.raw");
  });
});
