import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import ssh2 from "ssh2";
import { describe, expect, it } from "vitest";
import { generateSshKey, publicKeyOf, sshKeyOf } from "../../../src/transport/keys.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const seedOf = (index: number) => createHash("sha256").update(`seed ${index}`).digest();

describe("an SSH key", () => {
  it("has a public half of 32 bytes and signs, also one that begins with a zero", () => {
    let zeros = 0;
    for (let index = 0; index < 800; index += 1) {
      const pair = sshKeyOf(seedOf(index), "host");
      const blob = Buffer.from(pair.public.split(" ")[1]!, "base64");
      expect(blob.length).toBe(4 + 11 + 4 + 32);
      if (blob[19] !== 0) continue;
      zeros += 1;
      expect(publicKeyOf(pair.private)).toBe(pair.public);
      const data = Buffer.from("signed");
      const [ours, theirs] = [ssh2.utils.parseKey(pair.private), ssh2.utils.parseKey(pair.public)];
      if (ours instanceof Error || theirs instanceof Error) throw new Error("no key");
      expect(theirs.verify(data, ours.sign(data) as Buffer)).toBe(true);
    }
    expect(zeros).toBeGreaterThan(0);
  });

  it("is read by OpenSSH as what it is, comment and all", () => {
    const zero = Array.from({ length: 800 }, (_, index) => sshKeyOf(seedOf(index), "a comment")).find(
      ({ public: text }) => Buffer.from(text.split(" ")[1]!, "base64")[19] === 0,
    )!;
    for (const pair of [zero, generateSshKey("a comment"), generateSshKey("")]) {
      const file = join(tempDir(), "key");
      writeFileSync(file, pair.private, { mode: 0o600 });
      const read = execFileSync("ssh-keygen", ["-y", "-f", file], { encoding: "utf8" }).trim();
      expect(read.split(" ").slice(0, 2).join(" ")).toBe(pair.public);
    }
    const file = join(tempDir(), "commented");
    writeFileSync(file, zero.private, { mode: 0o600 });
    expect(execFileSync("ssh-keygen", ["-l", "-f", file], { encoding: "utf8" })).toContain("a comment");
  });

  it("is another each time", () => {
    expect(generateSshKey("one").private).not.toBe(generateSshKey("one").private);
  });

  it("has its parts where OpenSSH's format wants them, whatever the comment's length", () => {
    for (const comment of ["", "a", "ab", "abc", "a comment of more words"]) {
      const { private: text } = sshKeyOf(seedOf(1), comment);
      const lines = text.split("\n");
      expect(lines[0]).toBe("-----BEGIN OPENSSH PRIVATE KEY-----");
      expect(lines.slice(-2)).toEqual(["-----END OPENSSH PRIVATE KEY-----", ""]);
      expect(lines.slice(1, -3).every((line) => line.length === 70)).toBe(true);
      const parsed = ssh2.utils.parseKey(text) as ssh2.ParsedKey;
      expect(parsed.comment).toBe(comment);
      const blob = Buffer.from(lines.slice(1, -2).join(""), "base64");
      // Padded to the block size of "none", 8, by 1, 2, 3 and so on.
      const secret = blob.subarray(blob.indexOf("ssh-ed25519") + 11 + 4 + 32 + 4);
      expect(secret.length % 8).toBe(0);
      const padding = secret.subarray(
        secret.length - ((8 - ((4 + 4 + 51 + 4 + 64 + 4 + comment.length) % 8)) % 8),
      );
      expect([...padding]).toEqual(Array.from(padding, (_, index) => index + 1));
    }
  });

  it("shows its public half to who can open it", () => {
    const plain = generateSshKey("plain");
    expect(publicKeyOf(Buffer.from(plain.private))).toBe(plain.public);
    expect(publicKeyOf(plain.public)).toBe(plain.public);
    const encrypted = ssh2.utils.generateKeyPairSync("ed25519", {
      ...{ passphrase: "open it", cipher: "aes256-cbc", rounds: 1 },
    });
    expect(publicKeyOf(encrypted.private, "open it")).toBe(encrypted.public.split(" ").slice(0, 2).join(" "));
    expect(publicKeyOf(encrypted.private)).toBeUndefined();
    expect(publicKeyOf(encrypted.private, "wrong")).toBeUndefined();
    expect(publicKeyOf("no key")).toBeUndefined();
  });
});
