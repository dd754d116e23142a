import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { hostKeyShown, hostKeysFor } from "../../../src/rescue/host-keys.ts";
import { initramfsKeyName } from "../../../src/steps/tree/write-secrets.ts";
import { generateSshKey, publicKeyOf } from "../../../src/transport/keys.ts";
import { fingerprintOf } from "../../../src/transport/known-hosts.ts";
import { Secret } from "../../../src/util/secret.ts";
import { serverSpec } from "../../helpers/builders/deployable.ts";
import { sshSpec } from "../../helpers/builders/unlock.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const own = "hostkey:ssh_host_ed25519_key";
const secret = (name: string) => [name, new Secret(name, Buffer.from(`bytes of ${name}`))] as const;
const text = (keys: ReadonlyMap<string, Secret>, name: string) =>
  Buffer.from(keys.get(name)?.expose() ?? []).toString();

describe("the host keys of a rebuilt system", () => {
  it("are those that were kept, that of the initramfs too", async () => {
    const { keys, from } = await hostKeysFor(
      sshSpec(),
      new Map([own, initramfsKeyName].map(secret)),
      tempDir(),
    );
    expect(from).toBe("kept");
    expect(text(keys, own)).toBe(`bytes of ${own}`);
    expect(text(keys, initramfsKeyName)).toBe(`bytes of ${initramfsKeyName}`);
  });

  it("lack none for an initramfs that is reached over SSH, and have none for another", async () => {
    const kept = new Map([secret(own)]);
    const { keys } = await hostKeysFor(sshSpec(), kept, tempDir());
    expect(publicKeyOf(keys.get(initramfsKeyName)!.expose())).toMatch(/^ssh-ed25519 /);
    expect((await hostKeysFor(serverSpec(), kept, tempDir())).keys.has(initramfsKeyName)).toBe(false);
  });

  it("are the secrets that the definition names", async () => {
    const spec = sshSpec({ type: "ssh", hostKey: "unlock-key" }, { hostKeys: { secret: "host-key" } });
    const { keys, from } = await hostKeysFor(
      spec,
      new Map(["host-key", "unlock-key"].map(secret)),
      tempDir(),
    );
    expect(from).toBe("secret");
    expect([text(keys, own), text(keys, initramfsKeyName)]).toEqual([
      "bytes of host-key",
      "bytes of unlock-key",
    ]);
    await expect(hostKeysFor(spec, new Map([secret("host-key")]), tempDir())).rejects.toThrow(
      "the medium does not have the secret unlock-key",
    );
  });

  it("are shown as SSH shows them, and leave no file", async () => {
    const [made, directory] = [generateSshKey("host"), tempDir()];
    const keys = new Map([[own, new Secret(own, Buffer.from(made.private))]]);
    expect(await hostKeyShown(keys, directory)).toBe(fingerprintOf(made.public));
    expect(readdirSync(directory)).toEqual([]);
    await expect(hostKeyShown(new Map([secret(own)]), directory)).rejects.toThrow();
    expect(readdirSync(directory)).toEqual([]);
  });
});
