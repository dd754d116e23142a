import { parseWanted } from "../../debian/resolve/request.ts";
import type { Spec } from "../../schema/spec.ts";
import type { Problem } from "../../util/problem.ts";

/** Stands in `imgbuild init`'s definition for what only its user knows. */
const placeholder = "CHANGE-ME";

/** What a definition may lack while it is written and tried in a virtual machine, but not when a host is to become it. */
export function unfinished(spec: Spec): Problem[] {
  return [...placeholders(spec, []), ...nobodyLogsIn(spec)];
}

function placeholders(value: unknown, path: (string | number)[]): Problem[] {
  if (value === placeholder)
    return [{ path, message: `${placeholder} is still to be replaced by a value of your server's` }];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    placeholders(inner, [...path, Array.isArray(value) ? Number(key) : key]),
  );
}

/** A deploy is verified by SSH. */
function nobodyLogsIn({ boot, packages, users }: Spec): Problem[] {
  const hasSsh = packages.install
    .map(parseWanted)
    .some(({ name, refused }) => name === "openssh-server" && !refused);
  if (boot === undefined || !hasSsh || Object.values(users).some(({ keys }) => keys.length > 0)) return [];
  const [name] = Object.entries(users).find(([user, { sudo }]) => sudo || user === "root") ?? [];
  const path = name === undefined ? ["users"] : ["users", name, "keys"];
  return [
    { path, message: "no user has an SSH key, so nobody could log in; one public key a line is accepted" },
  ];
}
