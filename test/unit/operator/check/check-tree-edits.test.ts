import { describe, expect, it } from "vitest";
import { checkSpec } from "../../../../src/operator/check/check.ts";
import { Spec } from "../../../../src/schema/spec.ts";

function problems(change: Record<string, unknown>): string[] {
  return checkSpec(Spec.parse({ hostname: "web", ...change })).map(
    ({ path, message }) => `${path.join(".")}: ${message}`,
  );
}
const diff = "--- a/etc/x\n+++ b/etc/x\n@@ -1 +1 @@\n-a\n+b\n";
const script = { name: "one", script: "#!/bin/sh\n" };

describe("patches, templates and scripts", () => {
  it("that are in order are accepted", () => {
    expect(
      problems({
        patches: [
          { name: "one", diff },
          { name: "two", diff },
        ],
        templates: { "/etc/y": { text: "{{a}}", values: { a: 1 } } },
        provision: [script, { ...script, name: "two", files: { "a/b": "", "a/c": "" } }],
      }),
    ).toEqual([]);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      "a patch that is none",
      { patches: [{ name: "p", diff: "x" }] },
      /^patches\.0\.diff: p: it is no unified/,
    ],
    [
      "a patch of a file that is replaced",
      { patches: [{ name: "p", diff }], files: { "/etc/x": { content: "" } } },
      /^patches\.0\.diff: p patches \/etc\/x, in whose place `files` puts another/,
    ],
    [
      "a patch of what is a template",
      { patches: [{ name: "p", diff }], templates: { "/etc/x": { text: "" } } },
      /in whose place `templates`/,
    ],
    [
      "a place without a value",
      { templates: { "/etc/x": { text: "{{a}}" } } },
      /^templates\.\/etc\/x\.text: line 1: `a` needs an entry of that name in values, which has none$/,
    ],
    [
      "a value without a place",
      { templates: { "/etc/x": { text: "", values: { a: 1 } } } },
      /^templates\.\/etc\/x\.values\.a: the template does not use it/,
    ],
    [
      "a template and a file of one path",
      { templates: { "/etc/x": { text: "" } }, files: { "/etc/x": { content: "" } } },
      /collides/,
    ],
    [
      "two scripts of one name",
      { provision: [script, script] },
      /^provision\.1\.name: one is the name of another/,
    ],
    [
      "an input below another",
      { provision: [{ ...script, files: { a: "", "a/b": "" } }] },
      /^provision\.0\.files\.a\/b: is below a file; needs another path$/,
    ],
  ])("with %s are refused", (_what, change, message) => {
    expect(problems(change)).toEqual([expect.stringMatching(message)]);
  });

  it.each<[string, object]>([
    ["no interpreter", { name: "x", script: "echo\n" }],
    ["a relative interpreter", { name: "x", script: "#!sh\n" }],
    ["a value by one of our names", { ...script, values: { PATH: "/" } }],
    ["a value for the linker", { ...script, values: { LD_PRELOAD: "/x.so" } }],
    ["a value in small letters", { ...script, values: { site: "" } }],
    ["an input outside", { ...script, files: { "../x": "" } }],
    ["an absolute input", { ...script, files: { "/x": "" } }],
    ["no bound", { ...script, timeoutSeconds: 0 }],
    ["something undeclared", { ...script, cwd: "/" }],
  ])("of which a script has %s are refused", (_what, one) => {
    expect(Spec.safeParse({ hostname: "web", provision: [one] }).success).toBe(false);
  });
});
