import type { Spec } from "../../schema/spec.ts";
import type { Problem } from "../../util/problem.ts";
import { asksFor, type Setting } from "./setting.ts";

/** Of the files that sshd_config includes the first by name: the first value of a keyword counts. */
const path = "/etc/ssh/sshd_config.d/10-imgbuild.conf";
/** Keywords that have a field of their own, or would make the rest of the file hold for some connections alone. */
const owned: Readonly<Record<string, string>> = {
  port: "say it as `ports`",
  passwordauthentication: "say it as `passwordAuthentication`",
  permitrootlogin: "say it as `permitRootLogin`",
  allowusers: "say it as `allowUsers`",
  allowgroups: "say it as `allowGroups`",
  match: "write a file of /etc/ssh/sshd_config.d by `files`",
  include: "write a file of /etc/ssh/sshd_config.d by `files`",
};
/** With these, keys that let in are not those of `users`. */
const keysElsewhere = ["authorizedkeysfile", "authorizedkeyscommand", "trustedusercakeys"];

/** sshd_config(5). */
export const sshd: Setting = {
  field: "sshd",
  files: ({ sshd }) => (sshd === undefined ? [] : [{ path, content: textOf(sshd) }]),
  problems: (spec) => {
    const { sshd } = spec;
    if (sshd === undefined) return [];
    if (!asksFor(spec, "openssh-server"))
      return [{ path: ["sshd"], message: "needs the package `openssh-server` in packages.install" }];
    const problems = Object.keys(sshd.options ?? {}).flatMap((keyword): Problem[] => {
      const instead = owned[keyword.toLowerCase()];
      return instead === undefined
        ? []
        : [{ path: ["sshd", "options", keyword], message: `is not said here; ${instead}` }];
    });
    if (!Object.keys(spec.users).some((name) => letsIn(spec, name)))
      problems.push({
        path: ["sshd"],
        message:
          "lets no user in: needs one with `keys`, or a password where passwords are taken, whom `permitRootLogin`, `allowUsers` and `allowGroups` let in",
      });
    return problems;
  },
  expected: ({ sshd }) =>
    sshd === undefined
      ? []
      : [{ path: ["sshd"], kind: "sshd configuration" as const, name: "/etc/ssh/sshd_config" }],
};

function textOf({ ports = [], passwordAuthentication, permitRootLogin, ...more }: NonNullable<Spec["sshd"]>) {
  const { allowUsers, allowGroups, options = {} } = more;
  const lines = [
    ...ports.map((port) => `Port ${port}`),
    ...(passwordAuthentication === undefined
      ? []
      : [`PasswordAuthentication ${yesNo(passwordAuthentication)}`]),
    // By PAM this asks for the password too.
    ...(passwordAuthentication === false ? ["KbdInteractiveAuthentication no"] : []),
    ...(permitRootLogin === undefined ? [] : [`PermitRootLogin ${permitRootLogin}`]),
    ...(allowUsers === undefined ? [] : [`AllowUsers ${allowUsers.join(" ")}`]),
    ...(allowGroups === undefined ? [] : [`AllowGroups ${allowGroups.join(" ")}`]),
    ...Object.entries(options).flatMap(([keyword, values]) =>
      [values].flat().map((value) => `${keyword} ${typeof value === "boolean" ? yesNo(value) : value}`),
    ),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function yesNo(value: boolean): string {
  return value ? "yes" : "no";
}

/** Whether the new system's SSH server lets a user of the definition in, as far as `sshd` decides it. */
export function letsIn({ sshd = {}, users }: Pick<Spec, "sshd" | "users">, name: string): boolean {
  const user = users[name];
  if (user === undefined) return false;
  const {
    passwordAuthentication = true,
    permitRootLogin = "prohibit-password",
    allowUsers,
    allowGroups,
  } = sshd;
  const options = new Map(
    Object.entries(sshd.options ?? {}).map(([keyword, value]) => [keyword.toLowerCase(), value]),
  );
  const takesKeys = ![false, "no"].includes(options.get("pubkeyauthentication") as string | boolean);
  const hasKey = user.keys.length > 0 || keysElsewhere.some((keyword) => options.has(keyword));
  const hasPassword = user.hashedPassword !== undefined || user.hashedPasswordSecret !== undefined;
  const byKey = takesKeys && hasKey;
  const byPassword = passwordAuthentication && hasPassword;
  if (name === "root" && !(permitRootLogin === "yes" || (permitRootLogin === "prohibit-password" && byKey)))
    return false;
  const groups = [name, ...user.groups];
  return (
    (byKey || byPassword) &&
    (allowUsers === undefined || allowUsers.some((pattern) => matches(pattern, name))) &&
    (allowGroups === undefined || allowGroups.some((pattern) => groups.some((one) => matches(pattern, one))))
  );
}

/** From which addresses is not known here. */
function matches(pattern: string, name: string): boolean {
  const [user = ""] = pattern.split("@");
  const text = user.replace(/[.]/g, "\\.").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${text}$`).test(name);
}
