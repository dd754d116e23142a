import { readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Spec } from "../schema/spec.ts";
import { Fail } from "../util/fail.ts";
import { checkSpec } from "./check.ts";
import { evaluateModule, showPlace } from "./evaluate.ts";
import { lineOf } from "./locate.ts";
import { checkBySchema, type Problem } from "./problems.ts";

/** Problems shown at once; the rest is only counted. */
const shownProblems = 20;

export interface Definition {
  readonly spec: Spec;
  /** Absolute directory of the definition; what it names is relative to it. */
  readonly dir: string;
  /** Absolute path of its IMGBUILD.ts. */
  readonly file: string;
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
  return { spec: checked.data, dir, file, ...(hasFiles ? { filesDir } : {}) };
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

function refusal(file: string, problems: readonly Problem[]): Fail {
  const text = readFileSync(file, "utf8");
  const lines = problems
    .map((problem) => ({ ...problem, line: lineOf(text, problem.path) }))
    .sort((a, b) => a.line - b.line)
    .map(({ path, message, line }) => {
      const field = showPath(path);
      return `${showPlace({ file, line })}: ${field === "" ? "" : `${field}: `}${message}`;
    });
  if (lines.length > shownProblems)
    lines.splice(shownProblems, Infinity, `and ${problems.length - shownProblems} more problems`);
  return new Fail(lines.join("\n"), {
    hint: 'correct the definition; an editor shows what each field accepts when it imports from "imgbuild"',
  });
}

/** `users.admin.keys[0]`; keys that are no names are quoted. */
function showPath(path: readonly (string | number)[]): string {
  return path
    .map((key, index) => {
      if (typeof key === "number") return `[${key}]`;
      const shown = key.length > 80 ? `${key.slice(0, 77)}…` : key;
      if (!/^[A-Za-z_$][\w$-]*$/.test(shown)) return `[${JSON.stringify(shown)}]`;
      return index === 0 ? shown : `.${shown}`;
    })
    .join("");
}
