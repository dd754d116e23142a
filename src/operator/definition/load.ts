import { readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Spec } from "../../schema/spec.ts";
import { Fail } from "../../util/fail.ts";
import { type Problem, showPath, WrongFields } from "../../util/problem.ts";
import { checkSpec } from "../check/check.ts";
import { evaluateModule, showPlace } from "./evaluate.ts";
import type { Said } from "./evaluate-child.ts";
import { lineOf } from "./field-line.ts";
import { definitionOf, type HostRecord, noSuchHost, parameterRefusal } from "./host-records.ts";
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
  /** The host that it was made for, whose parameters it got. */
  readonly host?: HostRecord;
  /** Absolute path of its `files/`, when it has one. */
  readonly filesDir?: string;
}

/** How a definition is loaded. */
export interface LoadOptions {
  readonly timeoutMs?: number;
  /** The host that it is for, where the path is none's name. */
  readonly host?: HostRecord | undefined;
  /** Where paths start, and from where hosts.yaml is looked for; default the working directory. */
  readonly from?: string;
}

/**
 * Evaluates and checks a definition: a directory with an IMGBUILD.ts, or the file, or the name of a host in hosts.yaml. Every
 * problem is shown with file and line.
 */
export async function loadDefinition(path: string, options: LoadOptions = {}): Promise<Definition> {
  const from = options.from ?? process.cwd();
  const host = options.host ?? (await definitionOf(path, from));
  const named = options.host === undefined && host !== undefined;
  const file = await definitionFile(named ? host.definition : path, from);
  const { parameters } = host ?? {};
  const evaluation = await evaluateModule(file, {
    timeoutMs: options.timeoutMs ?? 10_000,
    ...(parameters === undefined ? {} : { parameters }),
  });
  if ("parameters" in evaluation) throw withoutParameters(file, host, evaluation.parameters);
  const spec = specFrom(file, evaluation);
  const dir = dirname(file);
  const filesDir = join(dir, "files");
  const hasFiles = statSync(filesDir, { throwIfNoEntry: false })?.isDirectory() === true;
  const open = linesOf(file, unfinished(spec));
  return {
    ...{ spec, dir, file, unfinished: open },
    ...(host === undefined ? {} : { host }),
    ...(hasFiles ? { filesDir } : {}),
  };
}

/** What a file says, validated and checked. */
export function specFrom(file: string, said: Said): Spec {
  if ("problem" in said) throw refusal(file, [said.problem]);
  const checked = checkBySchema(Spec, said.value);
  if ("problems" in checked) throw refusal(file, checked.problems);
  const problems = checkSpec(checked.data);
  if (problems.length > 0) throw refusal(file, problems);
  return checked.data;
}

async function definitionFile(path: string, from: string): Promise<string> {
  const given = resolve(from, path);
  const kind = statSync(given, { throwIfNoEntry: false });
  if (kind === undefined)
    throw new Fail(`no definition at ${path}`, {
      hint: (await noSuchHost(path, from)) ?? `run \`imgbuild init ${path}\` to start one`,
    });
  if (!kind.isDirectory()) return given;
  const file = join(given, "IMGBUILD.ts");
  if (statSync(file, { throwIfNoEntry: false }) === undefined)
    throw new Fail(`no IMGBUILD.ts in ${path}`, { hint: `run \`imgbuild init ${path}\` to start one` });
  return file;
}

function withoutParameters(file: string, host: HostRecord | undefined, problems: readonly Problem[]): Fail {
  if (host !== undefined) return parameterRefusal(host, problems);
  const lines = problems.map(({ path, message }) => `${showPath(["parameters", ...path])}: ${message}`);
  return new Fail(lines.map((line) => `${showPlace({ file, line: 1 })}: ${line}`).join("\n"), {
    hint: "parameters come from a host in hosts.yaml: give the host's name in place of the path",
  });
}

/** By which a command line names it. */
export function wordFor({ host, dir }: Pick<Definition, "host" | "dir">): string {
  return host?.name ?? dir;
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
