import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { Fail } from "../../util/fail.ts";

/** The runner as one CommonJS file for Debian's Node. The same sources give the same bytes, wherever the checkout is. */
export async function bundleRunner(): Promise<Uint8Array> {
  const sources = join(dirname(fileURLToPath(import.meta.url)), "../..");
  const result = await build({
    absWorkingDir: sources,
    entryPoints: ["runner.ts"],
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
    throw new Fail(`the runner cannot be bundled: ${error.message}`);
  });
  const [file] = result.outputFiles;
  if (file === undefined) throw new Error("esbuild wrote no file");
  return file.contents;
}
