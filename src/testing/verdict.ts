import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Evidence, evidenceFiles } from "../operator/report/test-page.ts";
import type { TestImage } from "../operator/test/test-image.ts";
import { Fail, messageOf } from "../util/fail.ts";
import { settlesWithin } from "../util/promises.ts";
import type { Machine } from "../vm/machine/machine.ts";
import { type CheckResult, defaultChecks } from "./checks.ts";
import type { Case, CaseContext, Cases } from "./declare.ts";
import { machineOf, openTestLab, type TestLabOptions, uefiFor } from "./lab.ts";

export interface Verdict {
  readonly firmware: "bios" | "uefi";
  readonly results: readonly CheckResult[];
  readonly ok: boolean;
  readonly seconds: number;
  /** Where journal, console and screen of each failure are. */
  readonly evidence: readonly Evidence[];
}

interface TestPlan {
  readonly image: TestImage;
  readonly firmware: "bios" | "uefi";
  readonly tests: Cases;
  /** Default: what the tests say, else 1024. */
  readonly memoryMib?: number;
  /** A directory for what helps to understand a failure. */
  readonly evidence: string;
}

const bootName = "it boots";
const snapshotName = "booted";

/** Boots the image, runs the default checks, then the definition's own tests, each on the machine as it was after its boot. */
export async function judge(plan: TestPlan, options: TestLabOptions): Promise<Verdict> {
  const { image, firmware, tests } = plan;
  const { cases } = tests;
  const { log, signal } = options;
  const began = Date.now();
  const results: CheckResult[] = [];
  const lab = await openTestLab(options);
  const evidence: Evidence[] = [];
  try {
    const machine = await machineOf(lab, image, {
      ...tests.shape(lab),
      firmware: firmware === "uefi" ? uefiFor(image.spec) : firmware,
      ...(plan.memoryMib === undefined ? {} : { memoryMib: plan.memoryMib }),
    });
    const boot = await timed(bootName, () =>
      log.task(`booting ${machine.name} under ${firmware}`, () => machine.boot()),
    );
    signal.throwIfAborted();
    results.push(boot);
    if (boot.ok) {
      results.push(
        ...(await log.task("checking", (inner) => defaultChecks(image, machine, { log: inner, signal }))),
      );
      const failed = async (name: string) =>
        void evidence.push(await gather(name, machine, join(plan.evidence, slug(name))));
      results.push(...(await runCases(cases, { lab, machine, spec: image.spec }, { log, signal, failed })));
    }
    const ok = results.every((one) => one.ok);
    if (!ok && evidence.length === 0) evidence.push(await gather("the machine", machine, plan.evidence));
    return { firmware, results, ok, seconds: (Date.now() - began) / 1000, evidence };
  } finally {
    await lab.close();
  }
}

/** Runs a definition's own tests, each on the machine as it was before the first of them. */
export async function runCases(
  cases: readonly Case[],
  context: CaseContext,
  options: Pick<TestLabOptions, "log" | "signal"> & { readonly failed: (name: string) => Promise<void> },
): Promise<CheckResult[]> {
  const { machine } = context;
  const { log, signal, failed } = options;
  const results: CheckResult[] = [];
  // What the checks left undone would show in the snapshot; a failed unit has nothing to do with the cases.
  if (cases.length > 0) await log.task("taking a snapshot", () => machine.snapshot(snapshotName));
  for (const [index, one] of cases.entries()) {
    signal.throwIfAborted();
    const result = await log.task(one.name, async () => {
      if (index > 0) await machine.restore(snapshotName);
      return await runCase(one, context);
    });
    results.push(result);
    if (!result.ok) await failed(one.name);
  }
  return results;
}

async function runCase(one: Case, { lab, machine, spec }: CaseContext): Promise<CheckResult> {
  const result = await timed(one.name, async () => {
    const boundMs = one.withinSeconds * machine.scale * 1000;
    if (!(await settlesWithin(one.work({ machine, lab, spec }), boundMs)))
      throw new Fail(`did not end within ${Math.round(boundMs / 1000)} s`);
  });
  for (const other of [...lab.machines]) if (other.name !== machine.name) await lab.drop(other);
  return result;
}

async function timed(check: string, work: () => Promise<unknown>): Promise<CheckResult> {
  const began = Date.now();
  const detail = await work().then(() => undefined, messageOf);
  const seconds = (Date.now() - began) / 1000;
  return { check, ok: detail === undefined, seconds, detail: detail ?? "passed" };
}

/** Saves what helps to understand a failure; each part that is available. */
async function gather(of: string, machine: Machine, directory: string): Promise<Evidence> {
  await mkdir(directory, { recursive: true });
  const attempts = [
    machine.screenshot(join(directory, evidenceFiles.screen)),
    machine.journal().then((text) => writeFile(join(directory, evidenceFiles.journal), text)),
    copyFile(join(machine.directory, "console.log"), join(directory, evidenceFiles.console)),
  ];
  await Promise.allSettled(attempts);
  return { of, directory };
}

function slug(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9]+/g, "-").slice(0, 60);
}

/** The verdicts as JUnit's XML, one suite a firmware. */
export function junit(hostname: string, verdicts: readonly Verdict[]): string {
  const suites = verdicts.map(({ firmware, results, seconds }) => {
    const failures = results.filter(({ ok }) => !ok).length;
    const cases = results.map(({ check, ok, seconds: took, detail }) => {
      const head = `    <testcase classname="${xml(`${hostname}.${firmware}`)}" name="${xml(check)}" time="${took}"`;
      return ok
        ? `${head}/>`
        : `${head}><failure message="${xml(detail.split("\n")[0] ?? "")}">${xml(detail)}</failure></testcase>`;
    });
    return [
      `  <testsuite name="${xml(`${hostname} ${firmware}`)}" tests="${results.length}" failures="${failures}" time="${seconds}">`,
      ...cases,
      "  </testsuite>",
    ].join("\n");
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join("\n")}\n</testsuites>\n`;
}

/** Control characters are not allowed in XML 1.0, even escaped. */
function xml(text: string): string {
  return (
    text
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;")
      .replaceAll("\n", "&#10;")
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
      .replaceAll(/[\0-\x08\x0b-\x1f\x7f]/g, "")
  );
}
