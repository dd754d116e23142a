import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { evaluateModule } from "../../../../src/operator/definition/evaluate.ts";
import { evaluationOf } from "../../../../src/operator/definition/evaluate-child.ts";
import { specFrom } from "../../../../src/operator/definition/load.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { type Breakage, breakages } from "../../../helpers/builders/breakages.ts";
import { fullDefinitions } from "../../../helpers/builders/full-definitions.ts";
import { literalText } from "../../../helpers/builders/literal-text.ts";
import { faultOf } from "../../../helpers/checks/answers.ts";
import { plannedSteps, wrongSteps } from "../../../helpers/checks/plans.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** IMGBUILD_SEED breaks them in other ways. */
const seed = Number(process.env.IMGBUILD_SEED ?? 1);
/** Of each definition. */
const count = Number(process.env.IMGBUILD_BREAKAGES ?? 70);
const before = "export default ";

const shipped = [
  "web",
  "notes",
  "notes-db",
  "layouts/luks-data",
  "layouts/md-raid5-lvm",
  "layouts/uki-secure",
];
const definitions: readonly (readonly [string, () => Promise<unknown>])[] = [
  ...Object.entries(fullDefinitions).map(([name, input]) => [name, async () => input] as const),
  ...shipped.map((name) => [name, () => saidBy(name)] as const),
];

async function saidBy(name: string): Promise<unknown> {
  const evaluated = await evaluateModule(
    join(import.meta.dirname, "../../../../imgbuild", name, "IMGBUILD.ts"),
    {
      timeoutMs: 10_000,
    },
  );
  return "value" in evaluated ? evaluated.value : undefined;
}

/** "refused" or "good", or what is wrong with the answer. */
function answerTo(breakage: Breakage, file: string): string {
  const written = literalText(breakage.value, before, ";\n");
  writeFileSync(file, written.text);
  const value: unknown = new Function(`return ${written.text.slice(before.length)}`)();
  try {
    const spec = specFrom(file, JSON.parse(JSON.stringify(evaluationOf(value))));
    const wrong = wrongSteps(plannedSteps(spec));
    return wrong.length === 0 ? "good" : `gives wrong steps: ${wrong.join("; ")}`;
  } catch (error) {
    if (!(error instanceof Fail)) return `is a bug: ${(error as Error).stack}`;
    const fault = faultOf(error.message, file, breakage, written);
    return fault === undefined ? "refused" : `${fault}\n${error.message}`;
  }
}

describe("a definition with one thing broken", () => {
  it.each(definitions)(
    "is refused with file, line and what is accepted, or can be planned: %s",
    async (name, input) => {
      const file = join(tempDir(), "IMGBUILD.ts");
      const answers = breakages(await input(), count, seed).map((breakage) => [
        breakage.what,
        answerTo(breakage, file),
      ]);
      const counted = (outcome: string) => answers.filter(([, answer]) => answer === outcome).length;
      const faults = answers.filter(([, answer]) => answer !== "good" && answer !== "refused");
      console.info(`${name}: ${counted("refused")} refused, ${counted("good")} good`);
      expect(faults.slice(0, 5), `again: IMGBUILD_SEED=${seed}`).toEqual([]);
      // A test of which nothing is refused would test nothing.
      expect(counted("refused")).toBeGreaterThan(count / 2);
    },
    20_000 + count * 50,
  );
});
