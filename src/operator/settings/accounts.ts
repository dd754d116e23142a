import type { Spec } from "../../schema/spec.ts";
import type { Problem } from "../../util/problem.ts";
import type { Setting } from "./setting.ts";

const tmpfilesPath = "/etc/tmpfiles.d/imgbuild.conf";

/** tmpfiles.d(5). */
export const tmpfiles: Setting = {
  field: "tmpfiles",
  files: ({ tmpfiles = [] }) =>
    tmpfiles.length === 0
      ? []
      : [{ path: tmpfilesPath, content: tmpfiles.map((line) => `${line}\n`).join("") }],
  expected: ({ tmpfiles = [] }) =>
    tmpfiles.length === 0
      ? []
      : [{ path: ["tmpfiles"], kind: "tmpfiles.d lines" as const, name: tmpfilesPath }],
};

/** sysusers.d(5): what `users` and files lean on, so it is made before them. */
export const sysusers: Setting = {
  field: "sysusers",
  files: ({ sysusers = {} }) =>
    Object.keys(sysusers).length === 0
      ? []
      : [{ path: "/etc/sysusers.d/imgbuild.conf", content: Object.entries(sysusers).map(linesOf).join("") }],
  problems: ({ sysusers = {}, users }) => {
    const ids = new Map<number, string>();
    return Object.entries(sysusers).flatMap(([name, { id, user, home, shell, groups }]): Problem[] => {
      const path = ["sysusers", name];
      const problems: Problem[] = [];
      if (Object.hasOwn(users, name) || name === "root")
        problems.push({ path, message: `${name} is among \`users\` too, or root; use another name` });
      if (!user && (home !== undefined || shell !== undefined || groups.length > 0))
        problems.push({
          path,
          message: "a group alone has no `home`, `shell` and `groups`; leave them out, or `user: false`",
        });
      if (id === undefined) return problems;
      const other = ids.get(id);
      if (other !== undefined)
        problems.push({
          path: [...path, "id"],
          message: `${id} is the id of \`${other}\` too; use another, or leave it out`,
        });
      ids.set(id, name);
      return problems;
    });
  },
};

type SystemUser = NonNullable<Spec["sysusers"]>[string];

function linesOf([name, { id, user, comment, home = "-", shell = "-", groups }]: [
  string,
  SystemUser,
]): string {
  const number = id ?? "-";
  if (!user) return `g ${name} ${number}\n`;
  const said = comment === "" ? "-" : `"${comment}"`;
  return [`u ${name} ${number} ${said} ${home} ${shell}`, ...groups.map((group) => `m ${name} ${group}`)]
    .map((line) => `${line}\n`)
    .join("");
}
