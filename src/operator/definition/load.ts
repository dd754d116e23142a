import { readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Spec } from "../../schema/spec.ts";
import { Fail } from "../../util/fail.ts";
import { type Problem, showPath, WrongFields } from "../../util/problem.ts";
import { checkSpec } from "../check/check.ts";
import { evaluateModule, showPlace } from "./evaluate.ts";
import { lineOf } from "./field-line.ts";
import { checkBySchema } from "./problems.ts";
import { unfinished } from "./unfinished.ts";

/** Problems shown at once; the rest is only counted. */
const shownProblems = 20;

export interface Definition {
  readonly spec: Spec;
  /** Absolute directory of the definition; what it names is relative to it. */
  readonly dir: string;
  /** Absolute path of its IMGBUILD.ts. */
  readonly file: string;
  /** What it lacks before a host may become it, a line each with its place; it can be built and tested nevertheless. */
  readonly unfinished: readonly string[];
  /** Absolute path of its `files/`, when it has one. */
  readonly filesDir?: string;
}

/** Evaluates and checks a definition: a directory with an IMGBUILD.ts, or the file. Every problem is told with file and line. */
export async function loadDefinition(
  path: string,
  options: { timeoutMs?: number } = {},
): Promise<Definition> {
  const file = definitionFile(path);
  const evaluation = await evaluateModule(file, { timeoutMs: options.timeoutMs ?? 10_000 });
  if ("problem" in evaluation) throw refusal(file, [evaluation.problem]);
  const checked = checkBySchema(Spec, evaluation.value);
  if ("problems" in checked) throw refusal(file, checked.problems);
  const problems = checkSpec(checked.data);
  if (problems.length > 0) throw refusal(file, problems);
  const dir = dirname(file);
  const filesDir = join(dir, "files");
  const hasFiles = statSync(filesDir, { throwIfNoEntry: false })?.isDirectory() === true;
  const open = linesOf(file, unfinished(checked.data));
  return { spec: checked.data, dir, file, unfinished: open, ...(hasFiles ? { filesDir } : {}) };
}

function definitionFile(path: string): string {
  const given = resolve(path);
  const kind = statSync(given, { throwIfNoEntry: false });
  if (kind === undefined)
    throw new Fail(`no definition at ${path}`, { hint: `run \`imgbuild init ${path}\` to start one` });
  if (!kind.isDirectory()) return given;
  const file = join(given, "IMGBUILD.ts");
  if (statSync(file, { throwIfNoEntry: false }) === undefined)
    throw new Fail(`no IMGBUILD.ts in ${path}`, { hint: `run \`imgbuild init ${path}\` to start one` });
  return file;
}

/** What is found only when the definition's tree is made is shown with file and line as well. */
export async function withLines<T>({ file }: Pick<Definition, "file">, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const found = [error, (error as Error).cause].find((one) => one instanceof WrongFields);
    if (found === undefined) throw error;
    throw refusal(file, (found as WrongFields).problems);
  }
}

/** Refuses a definition for what its packages lack. */
export function refuse({ file }: Pick<Definition, "file">, problems: readonly Problem[]): void {
  if (problems.length > 0) throw refusal(file, problems);
}

function refusal(file: string, problems: readonly Problem[]): Fail {
  const lines = linesOf(file, problems);
  if (lines.length > shownProblems)
    lines.splice(shownProblems, Infinity, `and ${problems.length - shownProblems} more problems`);
  return new Fail(lines.join("\n"), {
    hint: 'correct the definition; an editor shows what each field accepts when it imports from "imgbuild"',
  });
}

/** A line each, in the order of the file: place, field and problem. */
function linesOf(file: string, problems: readonly Problem[]): string[] {
  if (problems.length === 0) return [];
  const text = readFileSync(file, "utf8");
  return problems
    .map((problem) => ({ ...problem, line: lineOf(text, problem.path, problem.says) }))
    .sort((a, b) => a.line - b.line)
    .map(({ path, message, line }) => {
      const field = showPath(path);
      return `${showPlace({ file, line })}: ${field === "" ? "" : `${field}: `}${message}`;
    });
}
