import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { loadDefinition } from "../../../../src/operator/definition/load.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** A definition's directory with that text. */
function definition(text: string): { dir: string; file: string } {
  const dir = tempDir();
  const file = join(dir, "IMGBUILD.ts");
  writeFileSync(file, text);
  return { dir, file };
}

async function refusal(text: string, timeoutMs?: number): Promise<{ message: string; hint: string }> {
  const { dir, file } = definition(text);
  const options = timeoutMs === undefined ? {} : { timeoutMs };
  const error = await loadDefinition(dir, options).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Fail);
  const { message, hint } = error as Fail;
  const near = relative(process.cwd(), file);
  const place = near.startsWith("../..") ? file : near;
  return { message: message.replaceAll(place, "IMGBUILD.ts"), hint: hint ?? "" };
}

describe("loadDefinition", () => {
  it("evaluates a definition, by its directory or its file, and writes nothing", async () => {
    const { dir, file } = definition(
      'import { image } from "imgbuild";\nexport default image({ hostname: "web" as string });\n',
    );
    const loaded = await loadDefinition(dir);
    expect(loaded).toMatchObject({ dir, file, spec: { hostname: "web", system: { suite: "trixie" } } });
    expect(loaded).not.toHaveProperty("filesDir");
    expect(await loadDefinition(file)).toEqual(loaded);
    expect(readdirSync(dir)).toEqual(["IMGBUILD.ts"]);
  });

  it("finds files/ and what is imported or read beside it", async () => {
    const { dir } = definition(
      'import { image, readLines } from "imgbuild";\nimport { name } from "./name.ts";\n' +
        'export default Promise.resolve(image({ hostname: name, packages: { install: readLines("list") } }));\n',
    );
    mkdirSync(join(dir, "files"));
    writeFileSync(join(dir, "name.ts"), 'export const name = "web";\n');
    writeFileSync(join(dir, "list"), "nginx # no\n".replace(" # no", ""));
    const { spec, filesDir } = await loadDefinition(dir);
    expect(spec).toMatchObject({ hostname: "web", packages: { install: ["nginx"] } });
    expect(filesDir).toBe(join(dir, "files"));
  });

  it("is not confused by what a definition prints", async () => {
    const { dir } = definition('console.log("{}");\nexport default { hostname: "web" };\n');
    expect((await loadDefinition(dir)).spec.hostname).toBe("web");
  });
});

describe("a mistake is told with file, line, field and what is accepted", () => {
  it("of the schema, every one, in order of lines", async () => {
    const { message, hint } = await refusal(
      'import { image } from "imgbuild";\nexport default image({\n  hostname: "web",\n  system: { suite: "sid" },\n' +
        "  users: {\n    admin: { sudoo: true },\n  },\n} as never);\n",
    );
    expect(message).toBe(
      'IMGBUILD.ts:4: system.suite: "sid" is not accepted; needs "bookworm", "trixie" or "forky"\n' +
        "IMGBUILD.ts:6: users.admin.sudoo: unknown key; did you mean `sudo`",
    );
    expect(hint).toContain("correct the definition");
  });

  it("of fields that contradict each other", async () => {
    const { message } = await refusal(
      'export default {\n  hostname: "web",\n  users: {\n    admin: { sudo: true },\n  },\n};\n',
    );
    expect(message).toBe("IMGBUILD.ts:4: users.admin.sudo: needs the package `sudo` in packages.install");
  });

  it("twenty at most, the rest is counted", async () => {
    const users = Array.from({ length: 30 }, (_, index) => `u${index}: { uid: 1 },`).join("\n");
    const { message } = await refusal(`export default { hostname: "web", users: {\n${users}\n} };\n`);
    expect(message.split("\n")).toHaveLength(21);
    expect(message).toMatch(/and 10 more problems$/);
  });

  it("of the syntax", async () => {
    const { message, hint } = await refusal('export default {\n  hostname: "web"\n  boot: {},\n};\n');
    expect(message).toMatch(/^IMGBUILD\.ts:3: expected "}" but found "boot"/);
    expect(hint).toContain("syntax");
  });

  it("of an import", async () => {
    const { message } = await refusal('\nimport { x } from "./none.ts";\nexport default { hostname: x };\n');
    expect(message).toMatch(/^IMGBUILD\.ts:2: could not resolve "\.\/none\.ts"/);
  });

  it("of a name that the DSL does not have", async () => {
    const { message } = await refusal('import { imgae } from "imgbuild";\nexport default imgae({});\n');
    expect(message).toMatch(/^IMGBUILD\.ts:1: .*imgae/);
  });

  it.each<[string, string, RegExp]>([
    ["throws", '\n\nthrow new Error("no luck");\nexport default {};\n', /^IMGBUILD\.ts:3: no luck$/],
    [
      "throws in a function",
      'const f = () => {\n  throw new Error("no luck");\n};\nexport default { hostname: f() };\n',
      /^IMGBUILD\.ts:2: no luck$/,
    ],
    ["throws text", 'throw "no luck";\nexport default {};\n', /threw no luck$/],
    [
      "throws later",
      'setTimeout(() => { throw new Error("late"); });\nawait new Promise(() => {});\nexport default {};\n',
      /: late$/,
    ],
    [
      "reads a file that is not there",
      'import { readText } from "imgbuild";\n\nexport default { hostname: readText("none") };\n',
      /^IMGBUILD\.ts:3: none cannot be read: it does not exist; paths start at the definition/,
    ],
    ["exports nothing", 'export const a = { hostname: "web" };\n', /no default export/],
    ["exports text", 'export default "web";\n', /the default export is a string, not an object/],
    [
      "exports a function inside",
      'export default {\n  hostname: "web",\n  boot: () => 1,\n};\n',
      /IMGBUILD\.ts:3: boot: is a function/,
    ],
    [
      "exports a cycle",
      'const a: any = { hostname: "web" };\na.a = a;\nexport default a;\n',
      /contains itself/,
    ],
    [
      "pollutes a prototype",
      'export default JSON.parse(\'{"__proto__":{"hostname":"x"}}\');\n',
      /`__proto__` is not accepted/,
    ],
    [
      "exports a hundred thousand entries",
      'export default { hostname: "web", users: Object.fromEntries(Array.from({ length: 100_001 }, (_, i) => ["u" + i, {}])) };\n',
      /more than 100000 values/,
    ],
    [
      "ends the process",
      "process.exit(0);\nexport default {};\n",
      /ended with exit code 0 before it said anything/,
    ],
    ["waits for ever", "await new Promise(() => {});\nexport default {};\n", /promise that is never settled/],
  ])("of a definition that %s", async (_name, text, message) => {
    const told = await refusal(text);
    expect(told.message).toMatch(message);
    expect(told.message).toMatch(/IMGBUILD\.ts:\d+: /);
    expect(told.hint).not.toBe("");
  });

  it.each([
    ["a loop without an end", "for (;;) {}\nexport default {};\n"],
    [
      "a timer without an end",
      "setInterval(() => {}, 10);\nawait new Promise(() => {});\nexport default {};\n",
    ],
  ])("of %s, after its time", async (_name, text) => {
    const { message, hint } = await refusal(text, 800);
    expect(message).toBe("IMGBUILD.ts:1: did not finish within 0.8 s");
    expect(hint).toContain("loop");
  });
});

describe("a path that is no definition", () => {
  it("is told with how to start one", async () => {
    const dir = tempDir();
    await expect(loadDefinition(dir)).rejects.toMatchObject({
      message: `no IMGBUILD.ts in ${dir}`,
      hint: expect.stringContaining("imgbuild init"),
    });
    await expect(loadDefinition(join(dir, "none"))).rejects.toMatchObject({
      message: `no definition at ${join(dir, "none")}`,
    });
  });
});
