import { describe, expect, it } from "vitest";
import { initramfsKey } from "../../../../src/operator/secrets/initramfs-key.ts";
import { knownInitramfs } from "../../../../src/operator/unlock/known-initramfs.ts";
import { initramfsKeyName } from "../../../../src/steps/tree/write-secrets.ts";
import { generateSshKey, publicKeyOf } from "../../../../src/transport/keys.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";
import { sshSpec } from "../../../helpers/builders/unlock.ts";

const ssh = { type: "ssh" };

describe("initramfsKey", () => {
  it("is a new one each time where the definition names none, and none where nothing is opened over SSH", () => {
    const [one, other] = [initramfsKey(sshSpec(), new Map()), initramfsKey(sshSpec(), new Map())];
    expect(one?.isNew).toBe(true);
    expect(one?.pin).not.toBe(other?.pin);
    expect(publicKeyOf(one!.secrets.get(initramfsKeyName)!.expose())).toBe(one?.pin);
    for (const spec of [serverSpec(), sshSpec({ type: "tpm2" })])
      expect(initramfsKey(spec, new Map())).toBeUndefined();
  });

  it("is the secret that the definition names, if that is a key", () => {
    const key = generateSshKey("x");
    const secrets = (text: string) => new Map([["unlock-key", new Secret("unlock-key", Buffer.from(text))]]);
    const spec = sshSpec({ ...ssh, hostKey: "unlock-key" });
    expect(initramfsKey(spec, secrets(key.private))).toMatchObject({ pin: key.public, isNew: false });
    expect(() => initramfsKey(spec, secrets("no key"))).toThrow(
      "the secret unlock-key is no OpenSSH private key of type ed25519 without a passphrase",
    );
  });
});

describe("knownInitramfs", () => {
  it("is its host key, its port where that is not the usual one, and which secret opens what", () => {
    expect(knownInitramfs(sshSpec(), "ssh-ed25519 AAAA")).toEqual({
      pins: ["ssh-ed25519 AAAA"],
      volumes: { root: "disk-key" },
    });
    expect(knownInitramfs(sshSpec({ ...ssh, port: 2222 }), "k")?.port).toBe(2222);
    expect(knownInitramfs(serverSpec(), "k")).toBeUndefined();
    expect(knownInitramfs(sshSpec(), undefined)).toBeUndefined();
  });
});
