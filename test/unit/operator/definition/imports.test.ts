import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { evaluateModule } from "../../../../src/operator/definition/evaluate.ts";
import { repositoryAbove } from "../../../../src/operator/definition/imports.ts";
import { bundleTests } from "../../../../src/operator/test/test-file.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** A directory with a git repository in `repository`, and these files. */
function place(files: Readonly<Record<string, string>>): string {
  const top = tempDir();
  mkdirSync(join(top, "repository/.git"), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(top, name)), { recursive: true });
    writeFileSync(join(top, name), text);
  }
  return top;
}

async function evaluate(files: Readonly<Record<string, string>>): Promise<unknown> {
  const file = join(place(files), "repository/hosts/web/IMGBUILD.ts");
  return await evaluateModule(file, { timeoutMs: 10_000 });
}

const web = "repository/hosts/web/IMGBUILD.ts";

describe("a definition's imports", () => {
  it("are modules, JSON and YAML of its repository, and packages that are installed for it", async () => {
    const answer = await evaluate({
      [web]: [
        'import all, { packages } from "../../shared/all.yaml";',
        'import ports from "../../shared/ports.json" with { type: "json" };',
        'import { name } from "../../shared/name.ts";',
        'import suffix from "suffix";',
        "export default { all, packages, ports, name: name + suffix };",
      ].join("\n"),
      "repository/shared/all.yaml":
        "packages: &p [nginx]\nmore:\n  <<: {a: no}\n  again: *p\n  day: 2026-01-01\n",
      "repository/shared/ports.json": "[80, 443]",
      "repository/shared/name.ts": 'export const name: string = "web";\n',
      "repository/node_modules/suffix/package.json": '{ "main": "i.js", "type": "module" }',
      "repository/node_modules/suffix/i.js": 'export default "-1";\n',
    });
    expect(answer).toEqual({
      value: {
        all: { packages: ["nginx"], more: { a: "no", again: ["nginx"], day: "2026-01-01" } },
        packages: ["nginx"],
        ports: [80, 443],
        name: "web-1",
      },
    });
  });

  it("may be zod, with all that it looks for when it is loaded", async () => {
    const top = place({
      [web]:
        'import { z } from "zod";\nexport default z.object({ a: z.iso.date() }).parse({ a: "2026-01-01" });\n',
    });
    symlinkSync(resolve("node_modules"), join(top, "repository/node_modules"));
    expect(await evaluateModule(join(top, web), { timeoutMs: 10_000 })).toEqual({
      value: { a: "2026-01-01" },
    });
  });

  it.each<[string, string, RegExp]>([
    ["a module outside of the repository", "../../../outside.ts", /outside\.ts, outside of the repository/],
    ["a link that leads out of it", "./link.ts", /outside\.ts, outside of the repository/],
    ["an address", "https://example.org/a.js", /"https:.*" is not a file of the repository/],
    ["a package that is not installed", "left-out", /could not resolve "left-out"/],
    ["node:fs", "node:fs", /"node:fs" is not for definitions: .*; readText, readLines and readBase64/],
    ["fs/promises", "fs/promises", /"node:fs\/promises" is not for definitions/],
    ["node:child_process", "node:child_process", /"node:child_process" is not for definitions/],
    ["node:os", "node:os", /"node:os" is not for definitions/],
    ["node:module", "node:module", /"node:module" is not for definitions/],
  ])("are refused with file and line: %s", async (_name, specifier, message) => {
    const top = place({
      [web]: 'import { b } from "./b.ts";\nexport default { a: b };\n',
      "repository/hosts/web/b.ts": `\nimport a from "${specifier}";\nexport const b = a;\n`,
      "outside.ts": "export default 1;\n",
    });
    symlinkSync(join(top, "outside.ts"), join(top, "repository/hosts/web/link.ts"));
    const answer = evaluateModule(join(top, web), { timeoutMs: 10_000 });
    await expect(answer).rejects.toThrow(message);
    await expect(answer).rejects.toThrow(/hosts\/web\/b\.ts:2: /);
  });

  it("are refused where a package imports what reads the machine", async () => {
    const answer = evaluate({
      [web]: 'import a from "reader";\nexport default { a };\n',
      "repository/node_modules/reader/package.json": '{ "main": "i.js" }',
      "repository/node_modules/reader/i.js": 'module.exports = require("fs").readdirSync("/");\n',
    });
    await expect(answer).rejects.toThrow(/node_modules\/reader\/i\.js:1: "node:fs" is not for definitions/);
  });

  it("are refused where their names are made while it runs", async () => {
    const text = 'const name = "node:" + "fs";\nexport default { a: Object.keys(await import(name)) };\n';
    await expect(evaluate({ [web]: text })).rejects.toMatchObject({
      message: expect.stringMatching(/IMGBUILD\.ts:2: .*node:fs/),
      hint: "import it by a statement at the top of the file, with its name written out",
    });
  });

  it.each([
    ["a key that is there twice", "a: 1\na: 2\n", /b\.yaml:2: map keys must be unique/],
    ["a tag without a meaning", "\na: !secret x\n", /b\.yaml:2: unresolved tag: !secret/],
    ["a second document", "a: 1\n---\nb: 1\n", /b\.yaml:2: .*multiple documents/],
    ["a wrong indent", "a:\n  - 1\n - 2\n", /b\.yaml:3: /],
    ["an alias within its anchor", "a: &a\n  - *a\n", /b\.yaml:1: converting circular structure/],
    ["an anchor that is not there", "\na: *none\n", /b\.yaml:\d: unresolved alias/],
  ])("of YAML are refused with file and line for %s", async (_name, yaml, message) => {
    const text = 'import b from "./b.yaml";\nexport default { b };\n';
    await expect(evaluate({ [web]: text, "repository/hosts/web/b.yaml": yaml })).rejects.toThrow(message);
  });

  it("may lead anywhere where nothing says where the repository ends", async () => {
    const top = tempDir();
    mkdirSync(join(top, "web"));
    writeFileSync(join(top, "name.ts"), 'export const name = "web";\n');
    writeFileSync(
      join(top, "web/IMGBUILD.ts"),
      'import { name } from "../name.ts";\nexport default { name };\n',
    );
    expect(repositoryAbove(top)).toBeUndefined();
    expect(await evaluateModule(join(top, "web/IMGBUILD.ts"), { timeoutMs: 10_000 })).toEqual({
      value: { name: "web" },
    });
  });
});

describe("the tests beside a definition", () => {
  it("may import the same YAML", async () => {
    const top = place({
      "repository/a.yaml": "ports: [80]\n",
      "repository/IMGBUILD.test.ts": 'import a from "./a.yaml";\nconsole.log(a.ports);\n',
    });
    expect(await bundleTests(join(top, "repository/IMGBUILD.test.ts"))).toContain("ports: [80]");
  });
});
