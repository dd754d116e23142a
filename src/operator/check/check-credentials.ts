import type { Spec } from "../../schema/spec.ts";
import { notAmong, type Problem } from "../../util/problem.ts";

/** Secrets that a service is given, which have to be on the disk. */
export function credentialProblems(spec: Spec): Problem[] {
  return Object.entries(spec.services).flatMap(([unit, { credentials = [] }]) => {
    const path = ["services", unit, "credentials"];
    if (credentials.length > 0 && !unit.endsWith(".service"))
      return [{ path, message: "only a service takes credentials" }];
    return credentials.flatMap((name, index): Problem[] => {
      if (!Object.hasOwn(spec.secrets, name))
        return [{ path: [...path, index], message: noSecret(name, spec) }];
      const from = spec.secrets[name]?.path;
      if (from === undefined)
        return [{ path: ["secrets", name], message: `needs a \`path\`, from which ${unit} takes it` }];
      if (/^[A-Za-z0-9_.@+/-]+$/.test(from)) return [];
      const message = `may hold letters, digits and \`_.@+-/\` only: ${unit} names this path`;
      return [{ path: ["secrets", name, "path"], message }];
    });
  });
}

/** Secrets with the logins of stores. */
export function storeProblems(spec: Spec): Problem[] {
  return (spec.system.stores ?? []).flatMap(({ login }, index): Problem[] =>
    login === undefined || Object.hasOwn(spec.secrets, login)
      ? []
      : [{ path: ["system", "stores", index, "login"], message: noSecret(login, spec) }],
  );
}

/** That a name is not among the secrets, and which are. */
export function noSecret(name: string, { secrets }: Pick<Spec, "secrets">): string {
  return notAmong(name, Object.keys(secrets), "secrets");
}
