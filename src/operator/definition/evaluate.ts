import { SourceMap } from "node:module";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildFailure, build, type Message } from "esbuild";
import { plainEnv, run } from "../../system/run/run.ts";
import { Fail } from "../../util/fail.ts";
import type { Evaluation } from "./evaluate-child.ts";
import { definitionImports } from "./imports.ts";

/** Memory that a definition may use while it is evaluated. */
const heapMib = 512;
const own = fileURLToPath(new URL("../../", import.meta.url));
const dsl = fileURLToPath(new URL("../../dsl/index.ts", import.meta.url));
const parameters = fileURLToPath(new URL("../../dsl/parameters.ts", import.meta.url));
const profiles = fileURLToPath(new URL("../../profiles/index.ts", import.meta.url));
const child = fileURLToPath(new URL("./evaluate-child.ts", import.meta.url));

/** A place in a source file; lines and columns count from 1. */
interface Place {
  readonly file: string;
  readonly line: number;
  readonly column?: number;
}

/** "imgbuild/web/IMGBUILD.ts:12", relative to the working directory where that is shorter. */
export function showPlace({ file, line }: Place): string {
  const near = relative(process.cwd(), file);
  return `${near.startsWith("../..") ? file : near}:${line}`;
}

/**
 * Evaluates the module at `file` in a child process of its own: bounded in time and memory, with an empty environment, its
 * directory as working directory, without clock, chance and network, and no file written. Answers plain data, or the reason
 * why it is none with its path.
 */
export async function evaluateModule(
  file: string,
  options: {
    readonly timeoutMs: number;
    /** What a host's record gives. */
    readonly parameters?: Readonly<Record<string, unknown>>;
  },
): Promise<Exclude<Evaluation, { thrown: unknown }>> {
  const { code, map } = await bundle(file, options.parameters ?? {});
  const signal = AbortSignal.timeout(options.timeoutMs);
  const argv = [process.execPath, `--max-old-space-size=${heapMib}`, "--input-type=module", "-"];
  let stdout: string;
  try {
    const result = await run(argv, {
      stdin: code,
      cwd: dirname(file),
      env: { ...plainEnv, TZ: "UTC" },
      signal,
      timeoutMs: options.timeoutMs + 5_000,
      accept: "any",
    });
    stdout = result.stdout;
    if (stdout === "") throw silent(file, result.code, result.stderr);
  } catch (error) {
    if (error !== signal.reason) throw error;
    throw new Fail(`${showPlace({ file, line: 1 })}: did not finish within ${options.timeoutMs / 1000} s`, {
      hint: "look for a loop without an end or a promise that is never settled",
    });
  }
  const evaluation = JSON.parse(stdout) as Evaluation;
  if (!("thrown" in evaluation)) return evaluation;
  const { message, stack } = evaluation.thrown;
  throw new Fail(`${showPlace(placeOf(stack, map, file))}: ${message}`, {
    hint: message.startsWith("Dynamic require of")
      ? "import it by a statement at the top of the file, with its name written out"
      : "the definition threw this while it was evaluated",
  });
}

function silent(file: string, code: number, stderr: string): Fail {
  const place = showPlace({ file, line: 1 });
  if (/heap out of memory/.test(stderr))
    return new Fail(`${place}: needs more than ${heapMib} MiB of memory`, {
      hint: "say less in the definition",
    });
  if (code === 13)
    return new Fail(`${place}: waits for a promise that is never settled`, {
      hint: "look at what follows `await`",
    });
  return new Fail(`${place}: ended with exit code ${code} before it said anything`, {
    hint: "a definition gives back data by `export default image({ … })` and does not end the process",
  });
}

async function bundle(
  file: string,
  given: Readonly<Record<string, unknown>>,
): Promise<{ code: string; map: SourceMap }> {
  const entry = [
    `import { evaluate } from ${JSON.stringify(child)};`,
    `await evaluate(() => import(${JSON.stringify(file)}), ${JSON.stringify(JSON.stringify(given))});`,
  ].join("\n");
  try {
    const { outputFiles } = await build({
      stdin: { contents: entry, resolveDir: dirname(file), sourcefile: "evaluate" },
      absWorkingDir: dirname(file),
      outfile: resolve(dirname(file), "evaluate.mjs"),
      alias: { imgbuild: dsl, "imgbuild/parameters": parameters, "imgbuild/profiles": profiles },
      plugins: [definitionImports(file)],
      // What is named only while it runs could be anywhere.
      supported: { "dynamic-import": false },
      bundle: true,
      write: false,
      format: "esm",
      platform: "node",
      target: "node20",
      sourcemap: "external",
      logLevel: "silent",
      tsconfigRaw: {},
    });
    const text = (suffix: string) => outputFiles.find((output) => output.path.endsWith(suffix))!.text;
    return { code: text(".mjs"), map: new SourceMap(JSON.parse(text(".mjs.map"))) };
  } catch (error) {
    if (!isBuildFailure(error)) throw error;
    throw new Fail(error.errors.map((one) => showMessage(one, file)).join("\n"), {
      hint: "correct the definition's syntax or its imports",
    });
  }
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && Array.isArray((error as Partial<BuildFailure>).errors);
}

function showMessage({ text, location }: Message, file: string): string {
  const at =
    location === null
      ? { file, line: 1 }
      : { file: resolve(dirname(file), location.file), line: location.line };
  return `${showPlace(at)}: ${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}

/** The innermost frame that lies in a file of the definition's own. */
function placeOf(stack: string, map: SourceMap, file: string): Place {
  for (const [, line, column] of stack.matchAll(/\[eval\d*\]:(\d+):(\d+)/g)) {
    const entry = map.findEntry(Number(line) - 1, Number(column) - 1);
    if (!("originalSource" in entry)) continue;
    const source = resolve(dirname(file), entry.originalSource);
    if (source.startsWith(own) || source.endsWith("/evaluate")) continue;
    return { file: source, line: entry.originalLine + 1, column: entry.originalColumn + 1 };
  }
  return { file, line: 1 };
}
