import { z } from "zod";
import { Health } from "../../schema/health.ts";
import type { Spec } from "../../schema/spec.ts";
import { mergedUsr } from "../../util/tree-path.ts";
import { parseDiff } from "../../util/unified-diff.ts";

/** What a running system is compared with: all that the default checks need of its definition, and nothing secret. */
export const Expected = z.strictObject({
  health: z.array(Health),
  /** Units that the definition enables. */
  units: z.array(z.string()).default([]),
  /** Files that the definition places or changes: they need not be as their packages have them. */
  placed: z.array(z.string()).default([]),
  /** Scripts of the definition have changed the tree, and may have changed any file. */
  scripts: z.boolean().default(false),
});
export type Expected = z.output<typeof Expected>;

/** `placed`: the paths of the definition's `files/`. */
export function expectedOf(spec: Spec, placed: Iterable<string>): Expected {
  const { files, templates = {}, patches = [], provision = [], secrets } = spec;
  const paths = [
    ...placed,
    ...Object.keys(files),
    ...Object.keys(templates),
    ...patches.flatMap(({ diff }) => parseDiff(diff).map(({ path }) => path)),
    ...Object.values(secrets).flatMap(({ path }) => path ?? []),
  ];
  return {
    health: spec.health,
    // A template has instances that are enabled, and is never active itself.
    units: Object.entries(spec.services)
      .filter(([name, { state }]) => state === "enabled" && !name.includes("@."))
      .map(([name]) => name),
    placed: [...new Set(paths.map(mergedUsr))].sort(),
    scripts: provision.length > 0,
  };
}
