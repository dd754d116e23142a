import { describe, expect, it } from "vitest";
import { settingsExpect } from "../../../../src/operator/settings/settings.ts";
import { letsIn } from "../../../../src/operator/settings/sshd.ts";
import { Spec, type SpecInput } from "../../../../src/schema/spec.ts";
import { written, wrongIn } from "../../../helpers/builders/settings.ts";

const key = "ssh-ed25519 AAAA me";
const server = {
  packages: { install: ["openssh-server"] },
  users: { admin: { keys: [key], groups: ["adm"] } },
};
const path = "/etc/ssh/sshd_config.d/10-imgbuild.conf";

describe("sshd", () => {
  it("becomes a file that sshd reads before its own settings", () => {
    const sshd = {
      ports: [22, 2222],
      passwordAuthentication: false,
      permitRootLogin: "no" as const,
      allowUsers: ["admin", "git@192.0.2.*"],
      allowGroups: ["adm"],
      options: { MaxAuthTries: 3, X11Forwarding: false, AcceptEnv: ["LANG", "LC_*"], Ciphers: "a,b" },
    };
    expect(written({ sshd })).toEqual({
      [path]: [
        "Port 22",
        "Port 2222",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin no",
        "AllowUsers admin git@192.0.2.*",
        "AllowGroups adm",
        "MaxAuthTries 3",
        "X11Forwarding no",
        "AcceptEnv LANG",
        "AcceptEnv LC_*",
        "Ciphers a,b",
        "",
      ].join("\n"),
    });
    expect(written({ sshd: { passwordAuthentication: true } })[path]).toBe("PasswordAuthentication yes\n");
    expect(wrongIn({ ...server, sshd: { ...sshd, allowUsers: ["admin"] } })).toEqual([]);
  });

  it("is read by the tree's sshd when it is built", () => {
    expect(settingsExpect(Spec.parse({ hostname: "x", sshd: {} }))).toEqual([
      { path: ["sshd"], kind: "sshd configuration", name: "/etc/ssh/sshd_config" },
    ]);
  });

  it("needs its package", () => {
    expect(wrongIn({ users: server.users, sshd: {} })).toEqual([
      "sshd: needs the package `openssh-server` in packages.install",
    ]);
  });

  it.each([
    ["Port", "say it as `ports`"],
    ["passwordauthentication", "say it as `passwordAuthentication`"],
    ["PermitRootLogin", "say it as `permitRootLogin`"],
    ["AllowUsers", "say it as `allowUsers`"],
    ["allowGroups", "say it as `allowGroups`"],
    ["Match", "write a file of /etc/ssh/sshd_config.d by `files`"],
    ["Include", "write a file of /etc/ssh/sshd_config.d by `files`"],
  ])("refuses %s among `options`, and says where it goes", (keyword, where) => {
    expect(wrongIn({ ...server, sshd: { options: { [keyword]: "x" } } })).toEqual([
      `sshd.options.${keyword}: is not said here; ${where}`,
    ]);
  });

  it.each<object>([
    { ports: [] },
    { ports: [0] },
    { ports: [65_536] },
    { ports: ["22"] },
    { port: 22 },
    { permitRootLogin: "maybe" },
    { permitRootLogin: true },
    { passwordAuthentication: "no" },
    { allowUsers: [] },
    { allowUsers: ["a b"] },
    { allowUsers: ["a\nPort 1"] },
    { allowUsers: ["!admin"] },
    { allowGroups: ["a#"] },
    { options: { "Max Auth": 3 } },
    { options: { Banner: "" } },
    { options: { Banner: "a\nPort 1" } },
    { options: { Banner: "a # b" } },
    { options: { AcceptEnv: [] } },
  ])("refuses %j", (sshd) => {
    expect(wrongIn({ ...server, sshd })).not.toEqual([]);
  });

  const hashedPassword = "$y$j9T$aaaa$bbbb";
  const users = { admin: { keys: [key], groups: ["adm"] }, guest: { hashedPassword }, root: { keys: [key] } };
  const letIn = (sshd: SpecInput["sshd"]) => {
    const spec = Spec.parse({ hostname: "x", users, ...(sshd === undefined ? {} : { sshd }) });
    return Object.keys(users).filter((name) => letsIn(spec, name));
  };

  it("knows whom it lets in", () => {
    expect(letIn(undefined)).toEqual(["admin", "guest", "root"]);
    expect(letIn({ passwordAuthentication: false })).toEqual(["admin", "root"]);
    expect(letIn({ permitRootLogin: "no" })).toEqual(["admin", "guest"]);
    expect(letIn({ permitRootLogin: "forced-commands-only" })).toEqual(["admin", "guest"]);
    expect(letIn({ allowUsers: ["gu?st", "root@192.0.2.1"] })).toEqual(["guest", "root"]);
    expect(letIn({ allowUsers: ["a.min"] })).toEqual([]);
    expect(letIn({ allowGroups: ["adm"] })).toEqual(["admin"]);
    expect(letIn({ allowGroups: ["gue*"] })).toEqual(["guest"]);
    expect(letIn({ options: { pubkeyauthentication: false } })).toEqual(["guest"]);
    expect(letIn({ options: { PubkeyAuthentication: "no" }, permitRootLogin: "yes" })).toEqual(["guest"]);
    expect(letIn({ options: { TrustedUserCAKeys: "/etc/ssh/ca.pub" } })).toEqual(["admin", "guest", "root"]);
  });

  it("refuses to let no user in", () => {
    const why = [expect.stringMatching(/^sshd: lets no user in: /)];
    expect(wrongIn({ ...server, sshd: { allowUsers: ["other"] } })).toEqual(why);
    expect(wrongIn({ ...server, users: {}, sshd: {} })).toEqual(why);
    const byPassword = { guest: { hashedPassword } };
    expect(wrongIn({ ...server, users: byPassword, sshd: {} })).toEqual([]);
    expect(wrongIn({ ...server, users: byPassword, sshd: { passwordAuthentication: false } })).toEqual(why);
  });
});
