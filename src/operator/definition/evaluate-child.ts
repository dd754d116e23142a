import type { z } from "zod";
import type { Problem } from "../../util/problem.ts";
import { plainLimits, plainProblem } from "./plain.ts";
import { checkBySchema } from "./problems.ts";
import { refuseWhatChanges } from "./same-each-run.ts";

/** Runs inside the child process that evaluates a definition; bundled with it, told apart by nothing but its import. */

/** By which "imgbuild/parameters" marks a definition that is a function of a host's parameters. */
const forHost: unique symbol = Symbol.for("imgbuild.forHost");

interface ForHost {
  readonly [forHost]: {
    /** What it accepts. */
    readonly accepts: z.ZodType;
    readonly make: (parameters: never) => unknown;
  };
}

/** What a definition says, or why it is no plain data. */
export type Said =
  | { readonly value: unknown }
  | { readonly problem: { readonly path: readonly (string | number)[]; readonly message: string } };

/** What the child answers, as one JSON text on stdout. */
export type Evaluation =
  | Said
  /** What is wrong with the parameters that a host gives. */
  | { readonly parameters: readonly Problem[] }
  | { readonly thrown: { readonly message: string; readonly stack: string } };

/**
 * Evaluates the module, with the parameters as JSON, and answers on stdout; what the definition itself prints goes to stderr.
 */
export async function evaluate(
  load: () => Promise<Record<string, unknown>>,
  parameters: string,
): Promise<void> {
  const answerTo = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;
  const { exit } = process;
  const answer = (evaluation: Evaluation) => answerTo(JSON.stringify(evaluation), () => exit(0));
  process.on("uncaughtException", (error) => answer(thrown(error)));
  refuseWhatChanges();
  try {
    const module = await load();
    if (!Object.hasOwn(module, "default"))
      answer(asProblem("has no default export; needs `export default image({ … })`"));
    else answer(await made(await module.default, JSON.parse(parameters) as Record<string, unknown>));
  } catch (error) {
    answer(thrown(error));
  }
}

async function made(value: unknown, parameters: Readonly<Record<string, unknown>>): Promise<Evaluation> {
  const isForHost = typeof value === "object" && value !== null && forHost in value;
  if (!isForHost) {
    const unwanted = Object.keys(parameters).map((name) => ({
      path: [name],
      message: 'the definition takes no parameters; `imageWith` of "imgbuild/parameters" makes one that does',
    }));
    return unwanted.length > 0 ? { parameters: unwanted } : evaluationOf(value);
  }
  const { accepts, make } = (value as ForHost)[forHost];
  const given = checkBySchema(accepts, parameters);
  if ("problems" in given) return { parameters: given.problems };
  return evaluationOf(await make(given.data as never));
}

/** What the default export says, if it is plain data. */
export function evaluationOf(value: unknown): Said {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return asProblem(
      `the default export is ${kindOf(value)}, not an object; needs \`export default image({ … })\``,
    );
  const problem = plainProblem(value);
  if (problem !== undefined) return { problem };
  const size = Buffer.byteLength(JSON.stringify(value));
  return size > plainLimits.bytes
    ? asProblem(`says more than ${plainLimits.bytes} bytes: ${size}`)
    : { value };
}

function asProblem(message: string): Said {
  return { problem: { path: [], message } };
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value) ? "an array" : `a ${typeof value}`;
}

function thrown(error: unknown): Evaluation {
  if (error instanceof Error) return { thrown: { message: error.message, stack: error.stack ?? "" } };
  return { thrown: { message: `threw ${typeof error === "string" ? error : kindOf(error)}`, stack: "" } };
}
