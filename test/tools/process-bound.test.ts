import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { expect, it } from "vitest";
import { processBound } from "../../src/system/door/process-bound.ts";
import { run } from "../../src/system/run/run.ts";
import { project } from "../helpers/imgbuild.ts";

it("a build in another process namespace, to which we seem dead, leaves our control group", async () => {
  const bound = processBound();
  if (typeof bound !== "object" || !("procs" in bound))
    throw new Error(`root is not bound by a group: ${bound}`);
  expect(existsSync(bound.procs)).toBe(true);
  const program = `import { processBound } from "./src/system/door/process-bound.ts"; console.log(processBound().procs);`;
  const { stdout } = await run(
    [
      ...["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--mount", "--"],
      ...["node", "--import", "tsx", "--input-type=module", "--eval", program],
    ],
    { cwd: project, env: process.env as Record<string, string>, timeoutMs: 60_000 },
  );
  const other = stdout.trim();
  expect(dirname(dirname(other))).toBe(dirname(dirname(bound.procs)));
  expect(other).not.toBe(bound.procs);
  expect(existsSync(bound.procs)).toBe(true);
  expect(existsSync(other)).toBe(false);
});
