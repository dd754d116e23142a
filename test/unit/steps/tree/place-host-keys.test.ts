import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { StepContext } from "../../../../src/steps/step/step.ts";
import { placeHostKeys } from "../../../../src/steps/tree/place-host-keys.ts";
import { generateSshKey, publicKeyOf } from "../../../../src/transport/keys.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** What is in /etc/ssh of a tree whose package has made keys, after the step. */
async function placed(expected: boolean, secrets: Record<string, string>): Promise<string> {
  const root = tempDir();
  const ssh = join(root, "etc/ssh");
  mkdirSync(ssh, { recursive: true });
  for (const kind of ["rsa", "ecdsa", "ed25519"])
    for (const end of ["", ".pub"])
      writeFileSync(join(ssh, `ssh_host_${kind}_key${end}`), "made by the package");
  writeFileSync(join(ssh, "sshd_config"), "Port 22\n");
  const context = {
    ...{
      root,
      secrets: new Map(Object.entries(secrets).map(([name, text]) => [name, secretOf(name, text)])),
    },
    chroot: async (argv: readonly string[]) => ({
      ...{ code: 0, stderr: "" },
      stdout: `${publicKeyOf(readFileSync(join(root, argv.at(-1)!)))}\n`,
    }),
  } as unknown as StepContext;
  await placeHostKeys.run({ expected }, context);
  return ssh;
}

const secretOf = (name: string, text: string) => new Secret(name, Buffer.from(text));

describe("the SSH host keys of a tree", () => {
  it("F30: are none of those that a package made: those that came along, and none in an image", async () => {
    const key = generateSshKey("web");
    const ssh = await placed(true, { "hostkey:ssh_host_ed25519_key": key.private, token: "another secret" });
    expect(readdirSync(ssh).sort()).toEqual([
      "ssh_host_ed25519_key",
      "ssh_host_ed25519_key.pub",
      "sshd_config",
    ]);
    expect(readFileSync(join(ssh, "ssh_host_ed25519_key"), "utf8")).toBe(key.private);
    expect(statSync(join(ssh, "ssh_host_ed25519_key")).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(ssh, "ssh_host_ed25519_key.pub"), "utf8")).toBe(`${key.public}\n`);
    expect(readdirSync(await placed(false, { token: "another secret" }))).toEqual(["sshd_config"]);
  });

  it("must come along with a deploy, by a host key's name", async () => {
    await expect(placed(true, { token: "another secret" })).rejects.toThrow("no SSH host keys came along");
    for (const name of ["../shadow", "ssh_host__key/x", "ssh_host_rsa_key.pub", "xssh_host_rsa_key", ""])
      await expect(placed(true, { [`hostkey:${name}`]: "x" }), name).rejects.toThrow(
        `${name} is not the name of a host key`,
      );
  });
});
