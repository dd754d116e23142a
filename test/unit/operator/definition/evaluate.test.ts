import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { evaluateModule, showPlace } from "../../../../src/operator/definition/evaluate.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

async function evaluate(text: string): Promise<unknown> {
  const file = join(tempDir(), "IMGBUILD.ts");
  writeFileSync(file, text);
  return await evaluateModule(file, { timeoutMs: 10_000 });
}

describe("evaluateModule", () => {
  it("answers plain data", async () => {
    expect(await evaluate("export default { a: [1, 'é', null], b: undefined };\n")).toEqual({
      value: { a: [1, "é", null] },
    });
  });

  it("answers with the path of what is not plain", async () => {
    expect(await evaluate("export default { a: [{ b: new Date(0) }] };\n")).toEqual({
      problem: { path: ["a", 0, "b"], message: expect.stringMatching(/^is a Date; needs plain data/) },
    });
  });

  it("runs in the definition's directory", async () => {
    const answer = (await evaluate("export default { at: process.cwd() };\n")) as { value: { at: string } };
    expect(answer.value.at).toMatch(/imgbuild-test-/);
  });

  it("points at a file that the definition imports, when that one throws", async () => {
    const dir = tempDir();
    writeFileSync(join(dir, "helper.ts"), 'export function f(): never {\n  throw new Error("inside");\n}\n');
    writeFileSync(join(dir, "IMGBUILD.ts"), 'import { f } from "./helper.ts";\nexport default f();\n');
    await expect(evaluateModule(join(dir, "IMGBUILD.ts"), { timeoutMs: 10_000 })).rejects.toThrow(
      `${showPlace({ file: join(dir, "helper.ts"), line: 2 })}: inside`,
    );
  });
});

describe("showPlace", () => {
  it("is relative to the working directory where that is shorter", () => {
    expect(showPlace({ file: join(process.cwd(), "a/b.ts"), line: 3 })).toBe("a/b.ts:3");
    expect(showPlace({ file: "/elsewhere/far/away/b.ts", line: 3 })).toBe("/elsewhere/far/away/b.ts:3");
  });
});
