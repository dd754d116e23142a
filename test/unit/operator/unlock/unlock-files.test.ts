import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { vlan } from "../../../../src/dsl/network.ts";
import { unlockFiles, unlockPlaceholders } from "../../../../src/operator/unlock/unlock-files.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";
import { sshSpec } from "../../../helpers/builders/unlock.ts";

const ssh = { type: "ssh" };
const textOf = (spec: ReturnType<typeof sshSpec>, end: string) => {
  const file = unlockFiles(spec).find(({ path }) => path.endsWith(end));
  return file !== undefined && "content" in file ? file.content : undefined;
};

describe("unlockFiles", () => {
  it("is nothing of a definition that opens nothing over SSH", () => {
    for (const spec of [serverSpec(), sshSpec({ type: "tpm2" })]) {
      expect(unlockFiles(spec)).toEqual([]);
      expect(unlockPlaceholders(spec)).toEqual([]);
    }
  });

  it("lets administrators in, and nobody else; or those that the definition says", () => {
    const users = {
      root: { keys: ["ssh-ed25519 ROOT", "from=192.0.2.1 ssh-ed25519 NO".replace(/^from=\S+ /, "")] },
      admin: { sudo: true, keys: ["ssh-ed25519 ADMIN admin"] },
      guest: { keys: ["ssh-ed25519 GUEST"] },
    };
    const keys = (unlock: object) => textOf(sshSpec(unlock, { users }), "/authorized_keys");
    expect(keys(ssh)).toContain("ssh-ed25519 ADMIN admin\n");
    expect(keys(ssh)).toContain("ssh-ed25519 ROOT\n");
    expect(keys(ssh)).not.toContain("GUEST");
    expect(keys({ ...ssh, keys: ["ssh-ed25519 OTHER"] })).toBe("ssh-ed25519 OTHER\n");
  });

  it("gives a session the one command, no password and no forwarding, at the port", () => {
    const start = (unlock: object) => textOf(sshSpec(unlock), "/init-premount/dropbear");
    expect(start(ssh)).toMatch(/^\/sbin\/dropbear -F -s -j -k -I 300 -p 22 -c \/bin\/cryptroot-unlock &$/m);
    expect(start({ ...ssh, port: 2222 })).toContain(" -p 2222 ");
  });

  it("is scripts that a shell takes, which name what must run before them", () => {
    const lan = vlan({ id: 5, link: "nic" }, { addresses: ["192.0.2.10/24"] });
    const spec = sshSpec(ssh, { network: { nic: { match: { mac: "52:54:00:00:00:01" } }, lan } } as never);
    const prereqs = { "init-premount/dropbear": "udev", "init-bottom/imgbuild-unlock": "dropbear" };
    for (const [end, before] of Object.entries({ ...prereqs, "hooks/imgbuild-unlock": "dropbear" }))
      expect(execFileSync("sh", ["-c", textOf(spec, end)!, "sh", "prereqs"]).toString(), end).toBe(
        `${before}\n`,
      );
    expect(textOf(spec, "hooks/imgbuild-unlock")).toContain("manual_add_modules af_packet 8021q\n");
    expect(textOf(sshSpec(), "hooks/imgbuild-unlock")).not.toContain("8021q");
  });
});
