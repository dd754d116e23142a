import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { casesOf } from "../../../src/testing/cases.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const found = (text: string, helper?: string) => {
  const dir = tempDir();
  writeFileSync(join(dir, "IMGBUILD.test.ts"), text);
  if (helper !== undefined) writeFileSync(join(dir, "helper.ts"), helper);
  return casesOf(join(dir, "IMGBUILD.ts"));
};
const head = 'import { test, testMachine } from "imgbuild/testing";\n';

describe("casesOf", () => {
  it("finds a definition's tests in their order, wherever it lies", async () => {
    const { cases, shape } = await found(
      `${head}import { name } from "./helper.ts";
test(name as string, async () => {});
test("second", async () => { throw new Error("as told"); }, { withinSeconds: 7 });
testMachine(() => ({ memoryMib: 300 }));`,
      'export const name: string = "first";',
    );
    expect(cases.map(({ name, withinSeconds }) => [name, withinSeconds])).toEqual([
      ["first", 300],
      ["second", 7],
    ]);
    await expect(cases[1]!.work({} as never)).rejects.toThrow("as told");
    expect(shape({} as never)).toEqual({ memoryMib: 300 });
  });

  it("finds none where there is no such file, and those of one definition only", async () => {
    await found(`${head}test("one", async () => {});`);
    const none = await casesOf(join(tempDir(), "IMGBUILD.ts"));
    expect(none.cases).toEqual([]);
    expect((await found(`${head}test("two", async () => {});`)).cases.map(({ name }) => name)).toEqual([
      "two",
    ]);
  });

  it("refuses a file without tests, with two of a name, in error, or that wants what is not there", async () => {
    await expect(found("export {};")).rejects.toThrow(/IMGBUILD\.test\.ts declares no test/);
    await expect(found(`${head}test("a", async () => {});test("a", async () => {});`)).rejects.toThrow(
      'two tests are called "a"',
    );
    await expect(found(`${head}\ntest("a", async () => {`)).rejects.toThrow(/IMGBUILD\.test\.ts:3: /);
    await expect(found('import { openLab } from "imgbuild/testing"; openLab();')).rejects.toThrow(
      /IMGBUILD\.test\.ts:1: .*openLab/,
    );
    await expect(found('throw new Error("boom");')).rejects.toThrow(/IMGBUILD\.test\.ts: boom/);
  });
});
