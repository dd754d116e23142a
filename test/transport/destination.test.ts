import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseTarget, resolveTarget } from "../../src/transport/destination.ts";
import { tempDir } from "../helpers/temp-dir.ts";

function homeWith(config: string): string {
  const home = tempDir();
  mkdirSync(join(home, ".ssh"));
  writeFileSync(join(home, ".ssh", "config"), config);
  return home;
}

describe("a target", () => {
  it("is a name with or without user and port", () => {
    expect(parseTarget("web.example.org")).toEqual({ name: "web.example.org" });
    expect(parseTarget("root@web:2222")).toEqual({ user: "root", name: "web", port: 2222 });
    expect(parseTarget("root@[2001:db8::1]:22")).toEqual({ user: "root", name: "2001:db8::1", port: 22 });
    expect(parseTarget("2001:db8::1")).toEqual({ name: "2001:db8::1" });
  });

  it("is refused when it is none, or looks like an option", () => {
    for (const target of ["", "a b", "-oProxyCommand=x", "root@-x", "web:", "web:22:x y"])
      expect(() => parseTarget(target), target).toThrow(/no target/);
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
});
