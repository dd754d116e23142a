import { expect, it } from "vitest";
import { usualCpus } from "../../../../src/vm/machine/accelerator.ts";

it("a machine has one processor where it is emulated, and as many as it may elsewhere", () => {
  expect(usualCpus({ name: "tcg" }, 4)).toBe(1);
  expect([usualCpus({ name: "kvm" }, 2), usualCpus({ name: "hvf" }, 4)]).toEqual([2, 4]);
});
