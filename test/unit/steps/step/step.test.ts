import { describe, expect, it } from "vitest";
import { z } from "zod";
import { defineStep, stepData } from "../../../../src/steps/step/step.ts";

const step = defineStep({
  kind: "paint",
  schema: z.strictObject({ colour: z.string(), coats: z.int().default(2) }),
  run: async () => {},
});

describe("stepData", () => {
  it("is plain data with the kind, what is done, and the defaults filled in", () => {
    expect(stepData(step, "painting", { colour: "red" })).toEqual({
      kind: "paint",
      doing: "painting",
      colour: "red",
      coats: 2,
    });
  });

  it("refuses, when it is made, what the step would refuse", () => {
    expect(() => stepData(step, "painting", { colour: 1 } as never)).toThrow(z.ZodError);
    expect(() => stepData(step, "painting", { colour: "red", gloss: true } as never)).toThrow(/gloss/);
  });
});
