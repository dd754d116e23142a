import { existsSync } from "node:fs";
import { register } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Spec } from "../schema/spec.ts";
import { Fail, messageOf } from "../util/fail.ts";
import type { DefinedMachine, DefinedOptions, TestLab } from "./lab.ts";

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

/** What the machine has beside the definition's disks: cards on networks, memory, more disks. */
export type MachineShape = Partial<Omit<DefinedOptions, "definition" | "firmware" | "name">>;

export interface Cases {
  readonly cases: readonly Case[];
  readonly shape: (lab: TestLab) => MachineShape;
}

const collected: Case[] = [];
let shape: Cases["shape"] = () => ({});

/** Declares a test of the definition beside which the file lies; `imgbuild test` runs it. */
export function test(
  name: string,
  work: (context: CaseContext) => Promise<void>,
  options: { readonly withinSeconds?: number } = {},
): void {
  if (collected.some((one) => one.name === name)) throw new Fail(`two tests are called "${name}"`);
  collected.push({ name, work, withinSeconds: options.withinSeconds ?? caseSeconds });
}

/** Says what machine the tests want: `testMachine((lab) => ({ nics: [{ network: lab.network("private") }] }))`. */
export function testMachine(how: (lab: TestLab) => MachineShape): void {
  shape = how;
}

/** The tests in the definition's IMGBUILD.test.ts, in their order; none where there is no such file. */
export async function casesOf(definitionFile: string): Promise<Cases> {
  const file = join(dirname(definitionFile), "IMGBUILD.test.ts");
  collected.length = 0;
  shape = () => ({});
  if (!existsSync(file)) return { cases: [], shape };
  knowOurselves();
  try {
    await import(pathToFileURL(file).href);
  } catch (error) {
    throw new Fail(`${file}: ${messageOf(error)}`, { cause: error });
  }
  if (collected.length === 0)
    throw new Fail(`${file} declares no test`, {
      hint: 'import { test } from "imgbuild/testing"; test("a behaviour", async ({ machine }) => { … })',
    });
  return { cases: [...collected], shape };
}

let known = false;

/** A definition anywhere on this computer finds what it imports as "imgbuild" here. */
function knowOurselves(): void {
  if (known) return;
  known = true;
  const ours = {
    imgbuild: new URL("../dsl/index.ts", import.meta.url).href,
    "imgbuild/testing": new URL("./index.ts", import.meta.url).href,
  };
  const hook = `const ours = ${JSON.stringify(ours)};
export const resolve = (name, context, next) =>
  Object.hasOwn(ours, name) ? { url: ours[name], shortCircuit: true } : next(name, context);`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
}
