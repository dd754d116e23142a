import type { Spec } from "../../schema/spec.ts";
import type { Problem } from "../../util/problem.ts";
import { asksFor, type Setting } from "./setting.ts";

/** Whose services run without a login: logind(8) looks for a file of their name. */
export const lingering: Setting = {
  field: "users",
  files: ({ users }) =>
    Object.entries(users).flatMap(([name, user]) =>
      user.lingering ? [{ path: `/var/lib/systemd/linger/${name}`, content: "" }] : [],
    ),
};

/** What is wrong with the rights, the home and the subordinate ids of a user. */
export function accountProblems(name: string, spec: Spec): Problem[] {
  const path = ["users", name];
  const user = spec.users[name]!;
  const problems: Problem[] = [];
  if (
    user.sudo === "password" &&
    user.hashedPassword === undefined &&
    user.hashedPasswordSecret === undefined
  )
    problems.push({
      path: [...path, "sudo"],
      message: "asks for a password; needs `hashedPassword` or `hashedPasswordSecret`",
    });
  if (user.lingering && !asksFor(spec, "libpam-systemd"))
    problems.push({
      path: [...path, "lingering"],
      message: "needs the package `libpam-systemd` in packages.install",
    });
  if (name === "root" && user.home !== undefined)
    problems.push({
      path: [...path, "home"],
      message: "of root is /root and cannot be another; leave it out",
    });
  return [...problems, ...rangeProblems(name, spec, "subuid"), ...rangeProblems(name, spec, "subgid")];
}

function rangeProblems(name: string, { users }: Spec, field: "subuid" | "subgid"): Problem[] {
  const own = users[name]?.[field];
  if (own === undefined) return [];
  // Said of both: either may be the wrong one.
  const other = Object.entries(users).find(([one, user]) => {
    const range = user[field];
    return (
      one !== name &&
      range !== undefined &&
      range.start < own.start + own.count &&
      own.start < range.start + range.count
    );
  });
  return other === undefined
    ? []
    : [{ path: ["users", name, field], message: `has ids of \`${other[0]}\` too; use others` }];
}
