import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { loadProgram } from "../../../bin/program.js";
import { tempDir } from "../../helpers/temp-dir.ts";

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
    const { loadProgram } = await import(${JSON.stringify(program)});
    const { main } = await loadProgram(${JSON.stringify(top)});
    try { console.log(await main()); } catch (error) { console.log(error.stack); }`;
  return execFileSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
}

const made = (top: string) => readdirSync(join(top, "node_modules/.cache/imgbuild")).sort();

describe("loadProgram", () => {
  it("makes one program of the sources, which know where they are, and makes it anew when they change", () => {
    const top = checkout("first");
    expect(answer(top)).toBe(`first ${pathToFileURL(join(top, "src/main.ts")).href}\n`);
    const first = made(top);
    expect(first).toHaveLength(1);
    expect(answer(top)).toMatch(/^first /);
    expect(made(top)).toEqual(first);
    writeFileSync(join(top, "src/deep/said.ts"), `export const said = "second";\n`);
    expect(answer(top)).toMatch(/^second /);
    expect(made(top)).toHaveLength(2);
  });

  it("clears older versions away when no command can run them any more", () => {
    const top = checkout("first");
    answer(top);
    const [first] = made(top);
    const at = join(top, "node_modules/.cache/imgbuild", first!);
    const twoDaysAgo = new Date(Date.now() - 2 * 24 * 3_600_000);
    utimesSync(at, twoDaysAgo, twoDaysAgo);
    expect(answer(top)).toMatch(/^first /);
    expect(made(top)).toEqual([first]);
    writeFileSync(join(top, "src/deep/said.ts"), `export const said = "second";\n`);
    expect(answer(top)).toMatch(/^second /);
    expect(made(top)).not.toContain(first);
  });

  it("loads a part of itself when it is asked for", () => {
    const top = checkout("late");
    writeFileSync(
      join(top, "src/main.ts"),
      `export const main = async () => (await import("./deep/said.ts")).said;\n`,
    );
    for (let times = 0; times < 2; times += 1) expect(answer(top)).toBe("late\n");
    const [version] = made(top);
    const files = readdirSync(join(top, "node_modules/.cache/imgbuild", version!));
    expect(files.filter((name) => name.endsWith(".js")).length).toBeGreaterThan(1);
  });

  it("imports while it runs, the first time and later", () => {
    const top = checkout("x");
    writeFileSync(
      join(top, "src/main.ts"),
      "export const main = async (at = 'data:text/javascript,export const said = 7') => (await import(at)).said;\n",
    );
    for (let times = 0; times < 2; times += 1) expect(answer(top)).toBe("7\n");
  });

  it("tells places of the sources in a stack, the first time and later", () => {
    const top = checkout("fail");
    for (let times = 0; times < 2; times += 1)
      expect(answer(top)).toMatch(/^Error: as told\n {4}at main \(src\/main\.ts:3:\d+\)/);
  });

  it("tells a stack as it is when its map was cleared away by a newer version", () => {
    const top = checkout("fail");
    answer(top);
    rmSync(join(top, "node_modules/.cache/imgbuild", made(top)[0]!, "main.js.map"));
    expect(answer(top)).toMatch(/^Error: as told\n {4}at main \(.*main\.js:\d+:\d+\)/);
  });

  it("makes a program of imgbuild itself that starts", () => {
    const said = execFileSync("bin/imgbuild", ["--version"], { encoding: "utf8" });
    expect(said).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it("leaves sources in error to who runs them as they are", async () => {
    const top = checkout("x");
    writeFileSync(join(top, "src/main.ts"), "export const = ;\n");
    expect(await loadProgram(top)).toBeUndefined();
  });
});
