import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { makeSystemUsers } from "../../../../src/steps/tree/make-system-users.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const input = { path: "/etc/sysusers.d/imgbuild.conf", content: "u app 890 - - -\n" };

it("lets systemd's program of the tree read the lines from where the new system has them", async () => {
  const root = tempDir();
  const { context, asked } = stepBench({ root });
  await makeSystemUsers.run(input, context);
  expect(readFileSync(join(root, input.path), "utf8")).toBe(input.content);
  expect(asked).toEqual([`tree: systemd-sysusers ${input.path}`]);
});

it("refuses a link on the way", async () => {
  const root = tempDir();
  mkdirSync(join(root, "etc"));
  symlinkSync("/tmp", join(root, "etc/sysusers.d"));
  const { context, asked } = stepBench({ root });
  await expect(makeSystemUsers.run(input, context)).rejects.toThrow(/link/);
  expect(asked).toEqual([]);
});
