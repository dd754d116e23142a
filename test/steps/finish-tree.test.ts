import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { finishTree } from "../../src/steps/finish-tree.ts";
import type { StepContext } from "../../src/steps/step.ts";
import { tempDir } from "../helpers/temp-dir.ts";

/** The machine-id that a tree ends with. */
async function machineIdOf(options: { machineId?: string; nonce?: string }): Promise<string> {
  const root = tempDir();
  mkdirSync(join(root, "etc"));
  const { nonce, ...more } = options;
  const context = { root, nonce, began: 0 } as unknown as StepContext;
  await finishTree.run!({ definition: "d", epoch: 1, ...more }, context);
  return readFileSync(join(root, "etc/machine-id"), "utf8");
}

it("F30: gives each deploy another machine-id, but for a definition that is for the host with one", async () => {
  const [first, second] = [await machineIdOf({ nonce: "a" }), await machineIdOf({ nonce: "b" })];
  expect(first).toMatch(/^[0-9a-f]{32}\n$/);
  expect(second).not.toBe(first);
  const machineId = "0123456789abcdef0123456789abcdef";
  expect(await machineIdOf({ nonce: "a", machineId })).toBe(`${machineId}\n`);
});

it("leaves an image without one, whoever it is for", async () => {
  expect(await machineIdOf({ machineId: "0123456789abcdef0123456789abcdef" })).toBe("");
});
