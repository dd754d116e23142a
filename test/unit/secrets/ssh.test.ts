import { randomBytes } from "node:crypto";
import { Decrypter } from "age-encryption";
import { describe, expect, it } from "vitest";
import { sealFor, sealForAll } from "../../../src/secrets/seal.ts";
import { sshIdentity, sshRecipient } from "../../../src/secrets/ssh.ts";
import { sshKeyOf } from "../../../src/transport/keys.ts";
import { generateIdentity } from "../../helpers/builders/identity.ts";

const plain = Buffer.from("open sesame\n");

function pair() {
  const seed = randomBytes(32);
  return { seed, line: `${sshKeyOf(seed, "").public} operator@example.org` };
}

async function open(seed: Uint8Array, sealed: Uint8Array): Promise<string> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(sshIdentity(seed));
  return Buffer.from(await decrypter.decrypt(sealed)).toString();
}

describe("age with an SSH key", () => {
  it("opens what was encrypted for it, among other recipients, and nothing else", async () => {
    const [mine, other] = [pair(), pair()];
    const { recipient } = await generateIdentity();
    const sealed = await sealForAll([recipient, other.line, mine.line], plain);
    expect(await open(mine.seed, sealed)).toBe("open sesame\n");
    expect(await open(other.seed, sealed)).toBe("open sesame\n");
    await expect(open(pair().seed, sealed)).rejects.toThrow(/no identity matched/);
    await expect(open(mine.seed, await sealFor(recipient, plain))).rejects.toThrow(/no identity matched/);
  });

  it("refuses a stanza that was changed", async () => {
    const { seed, line } = pair();
    const [stanza] = await sshRecipient(line).wrapFileKey(randomBytes(16));
    const { unwrapFileKey } = sshIdentity(seed);
    const { args, body } = stanza!;
    const changed = [
      { args, body: body.map((byte, index) => (index === 3 ? byte ^ 1 : byte)) },
      { args, body: body.subarray(1) },
      { args: [...args, "more"], body },
      { args: args.map((arg, index) => (index === 2 ? arg.slice(4) : arg)), body },
      { args: args.map((arg, index) => (index === 2 ? "A".repeat(43) : arg)), body },
    ];
    for (const one of changed) expect(() => unwrapFileKey([one as never])).toThrow();
    expect(await unwrapFileKey([stanza!])).toHaveLength(16);
  });

  it("refuses what is no ed25519 key", async () => {
    const { line } = pair();
    const lines = [
      "ssh-ed25519",
      "ssh-ed25519 AAAA",
      line.replace("AAAAC3", "AAAAC4"),
      `ssh-ed25519 ${Buffer.concat([Buffer.from(line.split(" ")[1]!, "base64").subarray(0, 19), Buffer.alloc(32, 255)]).toString("base64")}`,
    ];
    for (const wrong of lines)
      expect(() => sshRecipient(wrong), wrong).toThrow(/is no ssh-ed25519 public key$/);
    await expect(sealForAll(["ssh-rsa AAAA"], plain)).rejects.toThrow(
      /"age1…" and "ssh-ed25519 …" are accepted/,
    );
  });
});
