import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { bundleTests } from "../operator/test/test-file.ts";
import { Fail, messageOf } from "../util/fail.ts";
import { type Cases, collect } from "./declare.ts";

/** The tests in the definition's IMGBUILD.test.ts, in their order; none where there is no such file. */
export async function casesOf(definitionFile: string): Promise<Cases> {
  const file = join(dirname(definitionFile), "IMGBUILD.test.ts");
  if (!existsSync(file)) return { cases: [], shape: () => ({}) };
  const code = await bundleTests(file);
  const module = `data:text/javascript;base64,${Buffer.from(code).toString("base64")}`;
  const cases = await collect(() => import(module)).catch((error: unknown) => {
    throw new Fail(`${file}: ${messageOf(error)}`, { cause: error });
  });
  if (cases.cases.length === 0)
    throw new Fail(`${file} declares no test`, {
      hint: 'import { test } from "imgbuild/testing"; test("a behaviour", async ({ machine }) => { … })',
    });
  return cases;
}
