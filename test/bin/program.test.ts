import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { programFile } from "../../bin/program.js";
import { tempDir } from "../helpers/temp-dir.ts";

/** A checkout of two sources. */
function checkout(said: string): string {
  const top = tempDir();
  mkdirSync(join(top, "src/deep"), { recursive: true });
  mkdirSync(join(top, "bin"));
  writeFileSync(join(top, "package-lock.json"), "{}");
  writeFileSync(join(top, "bin/program.js"), "");
  writeFileSync(join(top, "src/deep/said.ts"), `export const said: string = ${JSON.stringify(said)};\n`);
  writeFileSync(
    join(top, "src/main.ts"),
    [
      `import { said } from "./deep/said.ts";`,
      "export function main(): string {",
      "  if (said === 'fail') throw new Error('as told');",
      "  return [said, import.meta.url].join(' ');",
      "}",
      "",
    ].join("\n"),
  );
  return top;
}

/** What `main` of that program answers, in a process of its own as the real one. */
function answer(top: string): string {
  const program = pathToFileURL(join(process.cwd(), "bin/program.js")).href;
  const code = `
    const { programFile } = await import(${JSON.stringify(program)});
    const { main } = await import(await programFile(${JSON.stringify(top)}));
    try { console.log(main()); } catch (error) { console.log(error.stack); }`;
  return execFileSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
}

describe("programFile", () => {
  it("makes one file of the sources, which knows where they lie, and makes it anew when they change", async () => {
    const top = checkout("first");
    const made = await programFile(top);
    expect(await programFile(top)).toBe(made);
    expect(answer(top)).toBe(`first ${pathToFileURL(join(top, "src/main.ts")).href}\n`);
    writeFileSync(join(top, "src/deep/said.ts"), `export const said = "second";\n`);
    expect(await programFile(top)).not.toBe(made);
    expect(answer(top)).toMatch(/^second /);
    expect(readdirSync(join(top, "node_modules/.cache/imgbuild"))).toHaveLength(2);
  });

  it("tells places of the sources in a stack", () => {
    expect(answer(checkout("fail"))).toMatch(/^Error: as told\n {4}at main \(src\/main\.ts:3:\d+\)/);
  });

  it("makes a program of imgbuild itself that starts", () => {
    const said = execFileSync("bin/imgbuild", ["--version"], { encoding: "utf8" });
    expect(said).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it("leaves sources in error to who runs them as they are", async () => {
    const top = checkout("x");
    writeFileSync(join(top, "src/main.ts"), "export const = ;\n");
    expect(await programFile(top)).toBeUndefined();
  });
});
