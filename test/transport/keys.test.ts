import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import ssh2 from "ssh2";
import { describe, expect, it } from "vitest";
import { generateSshKey, publicKeyOf, sshKeyOf } from "../../src/transport/keys.ts";
import { tempDir } from "../helpers/temp-dir.ts";

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
});
