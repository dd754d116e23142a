import type { Spec } from "../../schema/spec.ts";
import type { Problem } from "../../util/problem.ts";
import { render } from "../../util/template.ts";
import { DiffProblem, type FileDiff, parseDiff } from "../../util/unified-diff.ts";
import { settingsFiles } from "../settings/settings.ts";

/** What is wrong with a definition's patches, templates and scripts, as far as it is seen without a tree. */
export function treeEditProblems(spec: Spec): Problem[] {
  return [...patchProblems(spec), ...templateProblems(spec), ...provisionProblems(spec)];
}

function patchProblems(spec: Spec): Problem[] {
  const { patches = [], files, templates = {}, secrets } = spec;
  const others: Readonly<Record<string, string>> = {
    ...Object.fromEntries(settingsFiles(spec).map(({ path, field }) => [path, `\`${field}\``])),
    ...Object.fromEntries(Object.keys(files).map((path) => [path, "`files`"])),
    ...Object.fromEntries(Object.keys(templates).map((path) => [path, "`templates`"])),
    ...Object.fromEntries(Object.values(secrets).map(({ path = "" }) => [path, "`secrets`"])),
  };
  return patches.flatMap(({ name, diff }, index): Problem[] => {
    const path = ["patches", index, "diff"];
    const read = diffsOf(diff);
    if (typeof read === "string")
      return [{ path, message: `${name}: ${read}; needs a diff as \`diff -u\` writes it` }];
    return read.flatMap((file) => {
      const other = Object.hasOwn(others, file.path) ? others[file.path] : undefined;
      return other === undefined
        ? []
        : [
            {
              path,
              message: `${name} patches ${file.path}, in whose place ${other} puts another file; leave one of them out`,
            },
          ];
    });
  });
}

function diffsOf(diff: string): FileDiff[] | string {
  try {
    return parseDiff(diff);
  } catch (error) {
    if (error instanceof DiffProblem) return error.message;
    throw error;
  }
}

function templateProblems({ templates = {} }: Spec): Problem[] {
  return Object.entries(templates).flatMap(([target, { text, values }]): Problem[] => {
    const { problems, unused } = render(text, values);
    return [
      ...problems.map((message) => ({ path: ["templates", target, "text"], message })),
      ...unused.map((name) => ({
        path: ["templates", target, "values", name],
        message: `the template does not use it; leave it out, or write {{${name}}} in the text`,
      })),
    ];
  });
}

function provisionProblems({ provision = [] }: Spec): Problem[] {
  const names = provision.map(({ name }) => name);
  return provision.flatMap(({ name, files }, index): Problem[] => [
    ...(names.indexOf(name) < index
      ? [
          {
            path: ["provision", index, "name"],
            message: `${name} is the name of another script too; needs one of its own`,
          },
        ]
      : []),
    ...Object.keys(files).flatMap((file) =>
      Object.keys(files).some((other) => file.startsWith(`${other}/`))
        ? [{ path: ["provision", index, "files", file], message: "is below a file; needs another path" }]
        : [],
    ),
  ]);
}
