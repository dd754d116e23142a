import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { Fail } from "../../util/fail.ts";

/** The runner as one file for Debian's Node. */
export async function bundleRunner(): Promise<Uint8Array> {
  return await bundleProgram("runner.ts");
}

/** A program of the base as one CommonJS file. The same sources give the same bytes, wherever the checkout is. */
export async function bundleProgram(entry: "runner.ts" | "rescue.ts"): Promise<Uint8Array> {
  const sources = join(dirname(fileURLToPath(import.meta.url)), "../..");
  const result = await build({
    absWorkingDir: sources,
    entryPoints: [entry],
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20",
    minify: true,
    keepNames: true,
    legalComments: "none",
    write: false,
    logLevel: "silent",
  }).catch((error: Error) => {
    throw new Fail(`${entry} cannot be bundled: ${error.message}`);
  });
  const [file] = result.outputFiles;
  if (file === undefined) throw new Error("esbuild wrote no file");
  return file.contents;
}
