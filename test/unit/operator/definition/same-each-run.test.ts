import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { evaluateModule } from "../../../../src/operator/definition/evaluate.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

async function evaluate(text: string): Promise<unknown> {
  const file = join(tempDir(), "IMGBUILD.ts");
  writeFileSync(file, text);
  return await evaluateModule(file, { timeoutMs: 10_000 });
}

describe("a definition that asks for what differs from run to run", () => {
  it.each<[string, RegExp]>([
    [
      "Date.now()",
      /Date\.now\(\) is not for definitions: .*; write the time down, as `new Date\("2026-01-01"\)`/,
    ],
    ["new Date().getFullYear()", /new Date\(\) is not for definitions/],
    ["Date()", /Date\(\) is not for definitions/],
    ["new (new Date(0).constructor as DateConstructor)().getTime()", /new Date\(\) is not/],
    ["new Intl.DateTimeFormat('en').format()", /Intl\.DateTimeFormat is not/],
    ["new Intl.DateTimeFormat('en').formatToParts()", /Intl\.DateTimeFormat is not/],
    ["performance.now()", /performance\.now is not/],
    ["process.hrtime()", /process\.hrtime is not/],
    ["process.pid", /process\.pid is not/],
    ["process.arch", /process\.arch is not/],
    ["Math.random()", /Math\.random\(\) is not for definitions: .*; write the value down; .* age file/],
    ["crypto.randomUUID()", /randomUUID\(\) is not/],
    ["crypto.getRandomValues(new Uint8Array(2))[0]", /getRandomValues\(\) is not/],
    ["process.env.HOME", /process\.env\.HOME is not for definitions: .*parameters of a host in hosts\.yaml/],
    ["'HOME' in process.env", /process\.env\.HOME is not/],
    ["{ ...process.env }", /process\.env is not/],
    ["process.getBuiltinModule('fs').readdirSync('/')", /process\.getBuiltinModule is not/],
    [
      "await fetch('http://127.0.0.1:1/')",
      /fetch\(\) is not for definitions: .*commit it beside the definition/,
    ],
  ])("by %s is refused with its line and what to write", async (expression, message) => {
    const answer = evaluate(`\nexport default {\n  a: ${expression},\n};\n`);
    await expect(answer).rejects.toThrow(message);
    await expect(answer).rejects.toThrow(/IMGBUILD\.ts:3: /);
  });

  it.each(["randomUUID()", "randomBytes(4)", "generateKeyPairSync('ed25519')", "randomInt(7)"])(
    "by %s of node:crypto is refused",
    async (expression) => {
      const name = expression.split("(")[0]!;
      await expect(
        evaluate(`import { ${name} } from "node:crypto";\nexport default { a: String(${expression}) };\n`),
      ).rejects.toThrow(`IMGBUILD.ts:2: ${name}() is not for definitions`);
    },
  );

  it("by the environment that node:process gives is refused", async () => {
    await expect(
      evaluate('import process from "node:process";\nexport default { a: process.env.HOME };\n'),
    ).rejects.toThrow("IMGBUILD.ts:2: process.env.HOME is not for definitions");
  });
});

describe("a definition that works on what it is given", () => {
  it.each<[string, unknown]>([
    ["new Date('2026-01-01').toISOString()", "2026-01-01T00:00:00.000Z"],
    ["new Date(2026, 0, 1).getTimezoneOffset()", 0],
    ["new Date(0) instanceof Date", true],
    ["Date.UTC(2026, 0, 1)", 1767225600000],
    ["new Intl.DateTimeFormat('en').format(new Date(0))", "1/1/1970"],
    ["new URL('http://example.org/a').pathname", "/a"],
    ["Buffer.from('a').toString('hex')", "61"],
    ["process.platform", "linux"],
    ["process.env.NODE_ENV", "production"],
    ["await new Promise((done) => setTimeout(done, 1, 'later'))", "later"],
  ])("may use %s", async (expression, value) => {
    expect(await evaluate(`export default { a: ${expression} };\n`)).toEqual({ value: { a: value } });
  });

  it("may take digests by node:crypto, and join paths", async () => {
    const text = [
      'import { createHash } from "node:crypto";',
      'import { join } from "node:path";',
      'export default { a: createHash("sha1").update("").digest("hex"), b: join("a", "b") };',
    ].join("\n");
    expect(await evaluate(text)).toEqual({
      value: { a: "da39a3ee5e6b4b0d3255bfef95601890afd80709", b: "a/b" },
    });
  });
});
