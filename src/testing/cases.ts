import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Spec } from "../schema/spec.ts";
import { Fail, messageOf } from "../util/fail.ts";
import type { DefinedMachine, TestLab } from "./lab.ts";

/** Bound of one case on ordinary hardware. */
const caseSeconds = 300;

export interface CaseContext {
  /** The definition's machine, booted; every case finds it as it was right after its boot. */
  readonly machine: DefinedMachine;
  /** More machines and networks; what a case adds ends with it. */
  readonly lab: TestLab;
  readonly spec: Spec;
}

export interface Case {
  readonly name: string;
  readonly withinSeconds: number;
  readonly work: (context: CaseContext) => Promise<void>;
}

const collected: Case[] = [];

/** Declares a test of the definition beside which the file lies; `imgbuild test` runs it. */
export function test(
  name: string,
  work: (context: CaseContext) => Promise<void>,
  options: { readonly withinSeconds?: number } = {},
): void {
  if (collected.some((one) => one.name === name)) throw new Fail(`two tests are called "${name}"`);
  collected.push({ name, work, withinSeconds: options.withinSeconds ?? caseSeconds });
}

/** The tests in the definition's IMGBUILD.test.ts, in their order; none where there is no such file. */
export async function casesOf(definitionFile: string): Promise<readonly Case[]> {
  const file = join(dirname(definitionFile), "IMGBUILD.test.ts");
  if (!existsSync(file)) return [];
  collected.length = 0;
  try {
    await import(pathToFileURL(file).href);
  } catch (error) {
    throw new Fail(`${file}: ${messageOf(error)}`, { cause: error });
  }
  if (collected.length === 0)
    throw new Fail(`${file} declares no test`, {
      hint: 'import { test } from "imgbuild/testing"; test("a behaviour", async ({ machine }) => { … })',
    });
  return [...collected];
}
