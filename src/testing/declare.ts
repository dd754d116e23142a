import type { Spec } from "../schema/spec.ts";
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

/** One for the whole process: a test file brings this module along in a copy of its own. */
const shared = globalThis as { [collected]?: { cases: Case[]; shape: Cases["shape"] } };
const collected = Symbol.for("imgbuild.testing");

function collection() {
  shared[collected] ??= { cases: [], shape: () => ({}) };
  return shared[collected];
}

/** Declares a test of the definition beside the file; `imgbuild test` runs it. */
export function test(
  name: string,
  work: (context: CaseContext) => Promise<void>,
  options: { readonly withinSeconds?: number } = {},
): void {
  const { cases } = collection();
  if (cases.some((one) => one.name === name)) throw new Error(`two tests are called "${name}"`);
  cases.push({ name, work, withinSeconds: options.withinSeconds ?? caseSeconds });
}

/** Says what machine the tests want: `testMachine((lab) => ({ nics: [{ network: lab.network("private") }] }))`. */
export function testMachine(how: (lab: TestLab) => MachineShape): void {
  collection().shape = how;
}

/** What was declared while `work` ran. */
export async function collect(work: () => Promise<unknown>): Promise<Cases> {
  shared[collected] = { cases: [], shape: () => ({}) };
  await work();
  const { cases, shape } = collection();
  return { cases: [...cases], shape };
}
