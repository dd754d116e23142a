import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type BuildFailure, build } from "esbuild";
import { Fail } from "../../util/fail.ts";
import { showPlace } from "../definition/evaluate.ts";
import { yamlImports } from "../definition/imports.ts";

const declare = fileURLToPath(new URL("../../testing/declare.ts", import.meta.url));

/**
 * The tests beside a definition as one module that needs no file: what it imports as "imgbuild/testing" are the functions
 * that declare, and it sees itself where it is.
 */
export async function bundleTests(file: string): Promise<string> {
  try {
    const { outputFiles } = await build({
      entryPoints: [file],
      absWorkingDir: dirname(file),
      alias: { "imgbuild/testing": declare },
      define: { "import.meta.url": JSON.stringify(pathToFileURL(file).href) },
      plugins: [yamlImports],
      bundle: true,
      write: false,
      format: "esm",
      platform: "node",
      target: "node20",
      logLevel: "silent",
      tsconfigRaw: {},
    });
    return outputFiles[0]!.text;
  } catch (error) {
    const problem = (error as Partial<BuildFailure>).errors?.[0];
    if (problem === undefined) throw error;
    throw new Fail(`${showPlace({ file, line: problem.location?.line ?? 1 })}: ${problem.text}`, {
      cause: error,
      hint: '"imgbuild/testing" gives `test` and `testMachine` here; a machine and a lab are what a test gets',
    });
  }
}
