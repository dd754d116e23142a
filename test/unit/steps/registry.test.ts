import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { allSteps } from "../../../src/steps/registry.ts";
import type { Step } from "../../../src/steps/step/step.ts";

/** Every object schema inside of a schema, with the way to it. */
function objectsIn(schema: z.ZodType, path: string): { path: string; schema: z.ZodObject }[] {
  if (schema instanceof z.ZodObject)
    return [
      { path, schema },
      ...Object.entries(schema.shape).flatMap(([key, inner]) =>
        objectsIn(inner as z.ZodType, `${path}.${key}`),
      ),
    ];
  if (schema instanceof z.ZodArray) return objectsIn(schema.element as z.ZodType, `${path}[]`);
  if (schema instanceof z.ZodUnion)
    return schema.options.flatMap((one, index) => objectsIn(one as z.ZodType, `${path}|${index}`));
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable)
    return objectsIn(schema.unwrap() as z.ZodType, path);
  return [];
}

/** What a file of src/steps exports is a step, or helps with some. */
function isStep(exported: unknown): exported is Step {
  return typeof exported === "object" && exported !== null && "kind" in exported && "schema" in exported;
}

describe("the registry of steps", () => {
  it("holds every step that is defined, under a kind of its own", async () => {
    const names = readdirSync("src/steps", { recursive: true, encoding: "utf8" }).flatMap((path) => {
      const [, room, name] = /^([^/]+)\/(.+)\.ts$/.exec(path) ?? [];
      return room === undefined ? [] : [{ room, name }];
    });
    const files: object[] = await Promise.all(
      names.map(({ room, name }) => import(`../../../src/steps/${room}/${name}.ts`)),
    );
    const defined = files.flatMap((one) => Object.values(one).filter(isStep)).map(({ kind }) => kind);
    expect(defined.length).toBeGreaterThan(20);
    expect([...new Set(defined)].sort()).toEqual([...defined].sort());
    expect([...allSteps.keys()].sort()).toEqual([...defined].sort());
    for (const [kind, step] of allSteps) expect(step.kind).toBe(kind);
  });

  for (const [kind, step] of allSteps) {
    it(`${kind} accepts no field it does not know, at any depth`, () => {
      const objects = objectsIn(step.schema, kind);
      expect(objects.length).toBeGreaterThan(0);
      for (const { path, schema } of objects) {
        const result = schema.safeParse({ "not a field": 1 });
        expect(
          result.error?.issues.map(({ code }) => code),
          path,
        ).toContain("unrecognized_keys");
      }
    });

    if (step.actions === undefined)
      it(`${kind} says what it does`, () => {
        expect(step.summary).toMatch(/^[a-z].*[^.]$/);
      });
  }
});
