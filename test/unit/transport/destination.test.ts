import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { parseTarget, resolveTarget } from "../../../src/transport/destination.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

function homeWith(config: string): string {
  const home = tempDir();
  mkdirSync(join(home, ".ssh"));
  writeFileSync(join(home, ".ssh", "config"), config);
  return home;
}

describe("a target", () => {
  it("is a name with or without user and port", () => {
    expect(parseTarget("web.example.org")).toStrictEqual({ name: "web.example.org" });
    expect(parseTarget("root@web:2222")).toEqual({ user: "root", name: "web", port: 2222 });
    expect(parseTarget("root@[2001:db8::1]:22")).toEqual({ user: "root", name: "2001:db8::1", port: 22 });
    expect(parseTarget("2001:db8::1")).toEqual({ name: "2001:db8::1" });
  });

  it("is refused when it is none, or looks like an option", () => {
    const none = ["", "a b", " web", "web ", "-oProxyCommand=x", "root@-x", "web:", "web:22:x y", "@web"];
    none.push(
      "a@b@c",
      "ops team@web",
      "web:123456",
      "web:ab",
      "[2001:db8::1",
      "2001:db8::1]",
      "[]",
      "[-x]:22",
    );
    none.push("x[web]", "[2001:db8::1]22", "ssh://", "xssh://web y", "http://web", "web/path:22x", "we\nb");
    for (const target of none) expect(() => parseTarget(target), target).toThrow(/not a target/);
  });

  it("is taken as an address of SSH's own, an address with a zone, a short address or any port", () => {
    expect(parseTarget("ssh://ops@web:22")).toEqual({ user: "ops", name: "web", port: 22 });
    expect(parseTarget("fe80::1%eth0")).toEqual({ name: "fe80::1%eth0" });
    expect(parseTarget("[fe80::1%eth0]:2222")).toEqual({ name: "fe80::1%eth0", port: 2222 });
    expect(parseTarget("ops@::1")).toEqual({ user: "ops", name: "::1" });
    expect(parseTarget("::")).toEqual({ name: "::" });
    expect(parseTarget("web:54321")).toEqual({ name: "web", port: 54321 });
  });

  it.each([0, 65536, 99999])("is refused with the port %d", (port) => {
    expect(() => resolveTarget(`web:${port}`, { home: homeWith("") })).toThrow(
      expect.objectContaining({
        message: `port ${port} of web is not a port`,
        hint: "a port is a number from 1 to 65535",
      }),
    );
  });

  it("has the ports from 1 to 65535, and 22 when none is given", () => {
    const home = homeWith("");
    const portOf = (target: string) => resolveTarget(target, { home }).port;
    expect(["web:1", "web:65535", "web"].map(portOf)).toEqual([1, 65535, 22]);
  });

  it.each(["0", "x", "1.5", "65536"])("is refused with Port %s in ssh_config", (port) => {
    expect(() => resolveTarget("web", { home: homeWith(`Port ${port}\n`) })).toThrow(
      expect.objectContaining({
        message: `port ${port} of web is not a port`,
        hint: expect.stringMatching(/ssh_config/),
      }),
    );
  });

  it("takes what ssh_config says, in any case, the first value first", () => {
    const home = homeWith(
      "host web\n  hostname 192.0.2.7\n  PORT 2222\n  User ops\n  IdentityFile ~/keys/%h\n  IdentitiesOnly yes\n  ProxyJump a@j1:22,j2\n  UserKnownHostsFile ~/kh\n  HostKeyAlias web-key\nHost *\n  User late\n  Port 1\n",
    );
    expect(resolveTarget("web", { home, agent: "/run/agent" })).toMatchObject({
      alias: "web",
      host: "192.0.2.7",
      port: 2222,
      user: "ops",
      keyName: "web-key",
      identityFiles: [join(home, "keys/192.0.2.7")],
      identitiesOnly: true,
      agent: "/run/agent",
      jumps: ["a@j1:22", "j2"],
    });
    expect(resolveTarget("web", { home }).knownHostsFiles[0]).toBe(join(home, "kh"));
    expect(resolveTarget("root@web:23", { home })).toMatchObject({ user: "root", port: 23 });
    expect(resolveTarget("root@web", { home, user: "other" }).user).toBe("other");
  });

  it("runs nothing that ssh_config names", () => {
    const mark = join(tempDir(), "ran");
    const home = homeWith(`Match exec "touch ${mark}"\n  Port 99\nHost p\n  ProxyCommand nc %h %p\n`);
    expect(resolveTarget("web", { home }).port).toBe(22);
    expect(() => resolveTarget("p", { home })).toThrow(/ProxyCommand/);
    expect(() => writeFileSync(mark, "", { flag: "wx" })).not.toThrow();
  });

  it("goes on after an Include in the section it stands in", () => {
    const home = homeWith("Host web\n  Include extra\n  Port 2222\nHost *\n  User all\n");
    writeFileSync(join(home, ".ssh", "extra"), "Host other\n  Port 1\n");
    expect(resolveTarget("web", { home })).toMatchObject({ port: 2222, user: "all" });
    expect(resolveTarget("third", { home }).port).toBe(22);
    writeFileSync(join(home, ".ssh", "extra"), "Include extra\n");
    expect(() => resolveTarget("web", { home })).toThrow(/deeper/);
  });

  it("stands as it is, with ssh's own defaults, where no ssh_config says otherwise", () => {
    const home = tempDir();
    expect(resolveTarget("web", { home, agent: "/run/agent", sshConfigFile: "/dev/null" })).toEqual({
      ...{ alias: "web", host: "web", port: 22, user: userInfo().username, keyName: "web" },
      identityFiles: ["id_ed25519", "id_ecdsa", "id_rsa"].map((name) => join(home, ".ssh", name)),
      ...{ identitiesOnly: false, agent: "/run/agent", jumps: [] },
      knownHostsFiles: [
        join(home, ".ssh/known_hosts"),
        join(home, ".ssh/known_hosts2"),
        "/etc/ssh/ssh_known_hosts",
      ],
    });
    expect(resolveTarget("web", { home, knownHostsFiles: ["/kh"] }).knownHostsFiles).toEqual(["/kh"]);
  });

  it("has the user of the options, else its own, else that of ssh_config", () => {
    const home = homeWith("User config\nMatch user own\n  Port 2\nMatch user given\n  Port 3\n");
    expect(resolveTarget("web", { home })).toMatchObject({ user: "config", port: 22 });
    expect(resolveTarget("own@web", { home })).toMatchObject({ user: "own", port: 2 });
    expect(resolveTarget("own@web", { home, user: "given" })).toMatchObject({ user: "given", port: 3 });
  });
});

describe("ssh_config", () => {
  const resolved = (config: string, target = "web") => {
    const home = homeWith(config);
    return { home, ...resolveTarget(target, { home, agent: "/run/agent" }) };
  };

  it("makes the host's name from the alias", () => {
    expect(resolved("HostName %h.example.org\n").host).toBe("web.example.org");
    expect(resolved("HostName fe80::1%%eth0\n").host).toBe("fe80::1%eth0");
  });

  it("makes paths from the home directory and what % stands for", () => {
    const { home, identityFiles } = resolved(
      "HostName 192.0.2.7\nUser ops\nPort 23\nIdentityFile ~/%h-%n-%r-%p\nIdentityFile %d/%u\nIdentityFile /a%%b%x\nIdentityFile rel\nIdentityFile ~\nIdentityFile /a/~/b\nIdentityFile ~x\n",
    );
    expect(identityFiles).toEqual([
      join(home, "192.0.2.7-web-ops-23"),
      join(home, userInfo().username),
      "/a%b%x",
      join(home, "rel"),
      home,
      "/a/~/b",
      join(home, "~x"),
    ]);
  });

  it("names the files of known hosts, also several", () => {
    const { home, knownHostsFiles } = resolved("UserKnownHostsFile ~/a /b\nGlobalKnownHostsFile /c /d\n");
    expect(knownHostsFiles).toEqual([join(home, "a"), "/b", "/c", "/d"]);
    expect(resolved("GlobalKnownHostsFile /c\n").knownHostsFiles.at(-1)).toBe("/c");
  });

  it("says that there is no key file, or no agent, by none", () => {
    expect(resolved("IdentityFile None\n").identityFiles).toEqual([]);
    expect(resolved("IdentityAgent NONE\n").agent).toBeUndefined();
    for (const name of ["SSH_AUTH_SOCK", "$SSH_AUTH_SOCK", `\${SSH_AUTH_SOCK}`])
      expect(resolved(`IdentityAgent ${name}\n`).agent).toBe("/run/agent");
    const { home, agent } = resolved("IdentityAgent ~/agent\n");
    expect(agent).toBe(join(home, "agent"));
    expect(resolved("IdentityAgent /x/SSH_AUTH_SOCK\n").agent).toBe("/x/SSH_AUTH_SOCK");
    expect(resolved("IdentityAgent SSH_AUTH_SOCK2\n").agent).toMatch(/\/SSH_AUTH_SOCK2$/);
  });

  it("says yes and no in any case", () => {
    expect(resolved("IdentitiesOnly YES\n").identitiesOnly).toBe(true);
    expect(resolved("IdentitiesOnly no\n").identitiesOnly).toBe(false);
  });

  it("names the hosts on the way; none is none", () => {
    expect(resolved("ProxyJump a , b@c:1\n").jumps).toEqual(["a", "b@c:1"]);
    expect(resolved("ProxyJump None\n").jumps).toEqual([]);
  });

  it("may name a ProxyCommand that is not used", () => {
    expect(resolved("ProxyCommand None\n").host).toBe("web");
    expect(resolved("ProxyCommand nc %h %p\nProxyJump a\n").jumps).toEqual(["a"]);
    expect(() => resolved("ProxyCommand nc %h %p\n")).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/^web .*ProxyCommand/),
        hint: expect.anything(),
      }),
    );
  });

  it("is refused when it cannot be read or understood, and may be absent only where it was not named", () => {
    expect(() => resolved('Host "web\n')).toThrow(/your ssh_config cannot be read: Unexpected/);
    const home = tempDir();
    expect(resolveTarget("web", { home }).host).toBe("web");
    expect(() => resolveTarget("web", { home, sshConfigFile: join(home, "absent") })).toThrow(
      /absent cannot be read: it does not exist/,
    );
    mkdirSync(join(home, ".ssh/config"), { recursive: true });
    expect(() => resolveTarget("web", { home })).toThrow(/config cannot be read: it is a directory/);
  });

  it("is another file when one is named, and no other then", () => {
    const home = homeWith("Port 1\n");
    const file = join(home, "other");
    writeFileSync(file, "User ops\n");
    expect(resolveTarget("web", { home, sshConfigFile: file })).toMatchObject({ user: "ops", port: 22 });
  });

  it("asks no resolver for a canonical name", () => {
    const dir = tempDir();
    writeFileSync(join(dir, "nslookup"), `#!/bin/sh\n: > ${dir}/asked\n`, { mode: 0o755 });
    vi.stubEnv("PATH", `${dir}:/usr/bin:/bin`);
    for (const line of [
      "CanonicalizeHostname yes",
      "  canonicalizehostname=yes",
      "\tCANONICALIZEHOSTNAME yes",
    ])
      expect(
        resolved(`Host web\n  CanonicalDomains example.org example.net\n${line}\n  Port 7\n`),
      ).toMatchObject({ host: "web", port: 7 });
    vi.unstubAllEnvs();
    expect(existsSync(join(dir, "asked"))).toBe(false);
  });
});

describe("an Include", () => {
  /** `config` and the other files in ~/.ssh. */
  const including = (config: string, files: Record<string, string>) => {
    const home = homeWith(config);
    mkdirSync(join(home, ".ssh/conf.d"));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(home, ".ssh", name), text);
    return resolveTarget("web", { home });
  };

  it.each([
    "Include extra",
    "  include=extra",
    'INCLUDE  "extra"  ',
    "Include absent  extra",
    "Include\textra absent",
    "Include ~/.ssh/extra",
    "Include ext*",
    "Include e?tra",
    "Include ~/.ssh/*tra",
    "Include nowhere/* extra",
  ])("is found by: %s", (line) => {
    expect(including(`${line}\n`, { extra: "Port 7\n" }).port).toBe(7);
  });

  it.each([
    "Include extr?a",
    "Include e.t*",
    "Include tra*",
    "Include *xtr",
    "Includes extra",
    "# Include extra",
  ])("finds no other file by: %s", (line) => {
    expect(including(`${line}\n`, { extra: "Port 7\n" }).port).toBe(22);
  });

  it("is a line of its own, whether its file ends with one or not", () => {
    expect(including("Include extra\nPort 7\n", { extra: "User x" })).toMatchObject({ user: "x", port: 7 });
  });

  it("is found by an absolute name", () => {
    const file = join(tempDir(), "elsewhere");
    writeFileSync(file, "Port 7\n");
    expect(including(`Include ${file}\n`, {}).port).toBe(7);
  });

  it("reads the files of a pattern by their names' order", () => {
    const files = { "conf.d/20-b": "Port 20\nUser b\n", "conf.d/10-a": "Port 10\n" };
    expect(including("Include conf.d/*\n", files)).toMatchObject({ port: 10, user: "b" });
  });

  it.each([
    ["Host web\n  HostName 192.0.2.7\n", "a HostName"],
    ["Match host web\n", "a Match"],
    ["  Host web\n", "an indented Host"],
    ["Host web\n  # no host = other\n", "a comment"],
    ["Host=web\n", "a Host with ="],
    ["", "no section"],
  ])("ends no section: %j (%s)", (section) => {
    const files = { extra: "Host other\n  Port 1\n" };
    expect(including(`${section}Include extra\n  Port 7\n`, files).port).toBe(7);
    expect(
      including(
        `Host third\n  User x\n${section === "" ? "Host web\n" : section}  Include extra\n  Port 7\n`,
        files,
      ).port,
    ).toBe(7);
  });

  it("may go sixteen files deep, and no deeper", () => {
    const chain = (depth: number) =>
      Object.fromEntries(
        Array.from({ length: depth }, (_, index) => [
          `f${index + 1}`,
          index + 1 === depth ? "Port 7\n" : `Include f${index + 2}\n`,
        ]),
      );
    expect(including("Include f1\n", chain(16)).port).toBe(7);
    expect(() => including("Include f1\n", chain(17))).toThrow(/f17: Include goes deeper than 16 files/);
  });
});
