import { checkSpec } from "../../../src/operator/check/check.ts";
import { checkBySchema } from "../../../src/operator/definition/problems.ts";
import { settingsFiles } from "../../../src/operator/settings/settings.ts";
import { Spec, type SpecInput } from "../../../src/schema/spec.ts";
import { showPath } from "../../../src/util/problem.ts";

/** What the words of a definition write, by path. */
export function written(change: Partial<SpecInput>): Readonly<Record<string, string>> {
  const spec = Spec.parse({ hostname: "web.example.org", ...change });
  return Object.fromEntries(settingsFiles(spec).map(({ path, content }) => [path, content]));
}

/** What is wrong with a definition, by its schema or else by what a schema cannot see, a line each with the field. */
export function wrongIn(change: Record<string, unknown>): string[] {
  const read = checkBySchema(Spec, { hostname: "web.example.org", ...change });
  const problems = "problems" in read ? read.problems : checkSpec(read.data);
  return problems.map(({ path, message }) => `${showPath(path)}: ${message}`);
}
