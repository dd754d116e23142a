import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { placeHostKeys } from "../../../../src/steps/tree/place-host-keys.ts";
import { writeSecrets } from "../../../../src/steps/tree/write-secrets.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** A tree whose user `me` is whoever runs this. */
function tree(): string {
  const root = tempDir();
  mkdirSync(join(root, "etc/ssh"), { recursive: true });
  const [uid, gid] = [process.getuid!(), process.getgid!()];
  writeFileSync(join(root, "etc/passwd"), `me:x:${uid}:${gid}::/:/bin/sh\n`);
  writeFileSync(join(root, "etc/group"), `me:x:${gid}:\n`);
  return root;
}
const modeOf = (path: string) => lstatSync(path).mode & 0o7777;

describe("write-secrets", () => {
  const declared = { name: "token", path: "/etc/token", mode: "0440", owner: "me", group: "me" };

  it("writes the bytes with their mode, in the place of what was there", async () => {
    const root = tree();
    writeFileSync(join(root, "etc/token"), "old and longer", { mode: 0o666 });
    const bytes = Buffer.from([0, 255, 10]);
    const { context } = stepBench({ root, secrets: { token: bytes, more: "m" } });
    const more = { ...declared, name: "more", path: "/etc/more", mode: "0600" };
    await writeSecrets.run({ secrets: [declared, more] }, context);
    expect(readFileSync(join(root, "etc/token")).equals(bytes)).toBe(true);
    expect(["token", "more"].map((name) => modeOf(join(root, "etc", name)))).toEqual([0o440, 0o600]);
  });

  it.each([
    [{ name: "other" }, "the secret other is not at hand"],
    [{ path: "/etc/ssh" }, "/etc/ssh of secret token is a directory in the tree"],
    [{ owner: "ghost" }, "the tree has no user ghost"],
    [{ path: "/etc/../token" }, "has no `.` and no `..`"],
  ])("refuses %j, and writes nothing", async (change, message) => {
    const root = tree();
    const { context } = stepBench({ root, secrets: { token: "t" } });
    await expect(writeSecrets.run({ secrets: [{ ...declared, ...change }] }, context)).rejects.toThrow(
      message,
    );
    expect(existsSync(join(root, "etc/token"))).toBe(false);
  });
});

describe("place-host-keys", () => {
  const key = "hostkey:ssh_host_ed25519_key";
  const sshFiles = (root: string) => readdirSync(join(root, "etc/ssh")).sort();

  it("puts the keys that came along in the place of the package's, with their public halves", async () => {
    const root = tree();
    for (const name of [
      "ssh_host_rsa_key",
      "ssh_host_rsa_key.pub",
      "sshd_config",
      "my_ssh_host_rsa_key",
      "ssh_host_rsa_key.pub.old",
    ])
      writeFileSync(join(root, "etc/ssh", name), name);
    const { context, asked } = stepBench({
      root,
      secrets: { [key]: "private", token: "no key" },
      answers: { "tree: ssh-keygen": { stdout: "public\n" } },
    });
    await placeHostKeys.run({ expected: true }, context);
    expect(asked).toEqual(["tree: ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key"]);
    expect(sshFiles(root)).toEqual([
      ...["my_ssh_host_rsa_key", "ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"],
      ...["ssh_host_rsa_key.pub.old", "sshd_config"],
    ]);
    const [secret, shown] = ["", ".pub"].map((end) => join(root, `etc/ssh/ssh_host_ed25519_key${end}`));
    expect([readFileSync(secret!, "utf8"), modeOf(secret!)]).toEqual(["private", 0o600]);
    expect([readFileSync(shown!, "utf8"), modeOf(shown!)]).toEqual(["public\n", 0o644]);
  });

  it("leaves an image without any, whose own are made when it first starts", async () => {
    const root = tree();
    writeFileSync(join(root, "etc/ssh/ssh_host_rsa_key"), "");
    const { context } = stepBench({ root });
    await placeHostKeys.run({ expected: false }, context);
    expect(sshFiles(root)).toEqual([]);
  });

  it("refuses to go on without keys where some must come", async () => {
    const { context } = stepBench({ root: tree(), secrets: { token: "t" } });
    await expect(placeHostKeys.run({ expected: true }, context)).rejects.toThrow(
      "no SSH host keys came along",
    );
  });

  it.each([
    "x/../../ssh_host_rsa_key",
    "ssh_host_rsa_key.pub",
    "ssh_host__",
    "ssh_host_RSA_key",
    `ssh_host_${"a".repeat(41)}_key`,
  ])("refuses %j, which is no name of a host key", async (name) => {
    const root = tree();
    const { context, asked } = stepBench({ root, secrets: { [`hostkey:${name}`]: "k" } });
    await expect(placeHostKeys.run({ expected: true }, context)).rejects.toThrow(
      `${name} is not the name of a host key`,
    );
    expect([asked, sshFiles(root)]).toEqual([[], []]);
  });
});
