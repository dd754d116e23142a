import ssh2 from "ssh2";
import { describe, expect, it } from "vitest";
import { keptHostKeys, ownHostKeys } from "../../../../src/operator/deploy/host-keys.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { generateSshKey, publicKeyOf } from "../../../../src/transport/keys.ts";
import { type Log, silentLog } from "../../../../src/util/log.ts";
import { Secret } from "../../../../src/util/secret.ts";

const name = "hostkey:ssh_host_ed25519_key";

function secretsOf(texts: Record<string, string>): ReadonlyMap<string, Secret> {
  return new Map(Object.entries(texts).map(([key, text]) => [key, new Secret(key, Buffer.from(text))]));
}

const textOf = (secret: Secret | undefined) => Buffer.from(secret?.expose() ?? []).toString();

/** An old system with these files in /etc/ssh. */
function oldSystem(files: Record<string, string>): Host {
  const exec = async (argv: readonly string[]) => ({
    ...{ code: 0, stderr: "" },
    stdout:
      argv[0] === "cat"
        ? files[argv.at(-1)!.slice("/etc/ssh/".length)]!
        : Object.keys(files)
            .map((file) => `/etc/ssh/${file}\n`)
            .join(""),
  });
  return { exec } as unknown as Host;
}

describe("the SSH host keys of a new system", () => {
  it("F30: are others at each deploy where the definition wants new ones, and are pinned", () => {
    const pinned = [1, 2].map(() => {
      const { secrets, pins } = ownHostKeys("new", "web", new Map());
      expect([...secrets.keys()]).toEqual([name]);
      expect(pins).toEqual([publicKeyOf(secrets.get(name)!.expose())]);
      return pins[0];
    });
    expect(pinned[0]).not.toBe(pinned[1]);
  });

  it("are the one of a secret, if it can be used as it is", () => {
    const key = generateSshKey("web");
    const { secrets, pins } = ownHostKeys({ secret: "key" }, "web", secretsOf({ key: key.private }));
    expect([[...secrets.keys()], textOf(secrets.get(name))]).toEqual([[name], key.private]);
    expect(pins).toEqual([key.public]);
    const other = ssh2.utils.generateKeyPairSync("ecdsa", { bits: 256 }).private;
    const locked = ssh2.utils.generateKeyPairSync("ed25519", {
      ...{ passphrase: "open it", cipher: "aes256-cbc", rounds: 1 },
    }).private;
    for (const texts of [{}, { key: "no key" }, { key: other }, { key: locked }] as Record<string, string>[])
      expect(() => ownHostKeys({ secret: "key" }, "web", secretsOf(texts))).toThrow(
        /^the secret key is no OpenSSH private key of type ed25519 without a passphrase$/,
      );
  });

  it("are the old system's where they are kept, as far as the new one can use them", async () => {
    const key = generateSshKey("old");
    const warned: string[] = [];
    const log: Log = { ...silentLog, warn: (text: string) => void warned.push(text) };
    const files = {
      ssh_host_ed25519_key: key.private,
      ssh_host_rsa_key: "damaged",
      ssh_host_dsa_key: generateSshKey("x").private,
    };
    const { secrets, pins } = await keptHostKeys(oldSystem(files), { hostKeys: [key.public] }, log);
    expect([[...secrets.keys()], textOf(secrets.get(name))]).toEqual([[name], key.private]);
    expect(pins).toEqual([key.public]);
    expect(warned).toEqual([
      expect.stringMatching(/ssh_host_rsa_key/),
      expect.stringMatching(/ssh_host_dsa_key/),
    ]);
    for (const [old, hostKeys] of [
      [oldSystem(files), [generateSshKey("another").public]],
      [oldSystem({}), [key.public]],
      [oldSystem(files), []],
    ] as const)
      await expect(keptHostKeys(old, { hostKeys: [...hostKeys] }, silentLog)).rejects.toMatchObject({
        ...{ name: "Fail", message: expect.stringMatching(/^none of the host's SSH keys can be kept/) },
        hint: 'say hostKeys: "new" in the definition',
      });
  });
});
