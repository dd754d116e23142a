import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { generateSshKey } from "../../../src/transport/keys.ts";
import {
  fingerprint,
  hostName,
  judge,
  keyType,
  knownTypes,
  parseKnownHosts,
} from "../../../src/transport/known-hosts.ts";

const [mine, other] = [generateSshKey("mine").public, generateSshKey("other").public];
const blobOf = (text: string) => Buffer.from(text.split(" ")[1]!, "base64");
const verdict = (file: string, name: string, key = mine) =>
  judge(parseKnownHosts(file, "known_hosts"), name, blobOf(key));

describe("a known_hosts file", () => {
  it("is read line by line, with markers, several names and what is no entry passed over", () => {
    const text = `# ssh-ed25519 AAAA comment\n\n  a.example.org,192.0.2.1\tssh-ed25519  AAAA1 a note\n@revoked * ssh-rsa AAAA2\n@cert-authority *.example.org ssh-rsa AAAA3\n@strange * ssh-rsa AAAA4\nb.example.org ssh-rsa\nb.example.org\n@revoked c ssh-rsa\n`;
    expect(parseKnownHosts(text, "f")).toEqual([
      {
        ...{ marker: undefined, patterns: ["a.example.org", "192.0.2.1"], type: "ssh-ed25519", key: "AAAA1" },
        ...{ file: "f", line: 3 },
      },
      { marker: "revoked", patterns: ["*"], type: "ssh-rsa", key: "AAAA2", file: "f", line: 4 },
      {
        ...{ marker: "cert-authority", patterns: ["*.example.org"], type: "ssh-rsa", key: "AAAA3" },
        ...{ file: "f", line: 5 },
      },
    ]);
  });

  it.each([
    ["web", "web"],
    ["WEB", "web"],
    ["w?b", "web"],
    ["*.example.org", "a.b.example.org"],
    ["other,web", "web"],
    ["*,!web2", "web"],
    ["[192.0.2.1]:2222", "[192.0.2.1]:2222"],
    ["192.0.2.1", "192.0.2.1"],
  ])("knows by the names %s the host %s", (patterns, name) => {
    expect(verdict(`${patterns} ${mine}\n`, name)).toEqual({ kind: "known" });
  });

  it.each([
    ["web", "web2"],
    ["web", "aweb"],
    ["w?b", "wb"],
    ["w?b", "weeb"],
    ["*.example.org", "example.org"],
    // A dot is a dot, and a bracket is no set.
    ["a.example.org", "abexample.org"],
    ["[12]:22", "1:22"],
    ["a+", "aa"],
    ["!web", "web"],
    ["!web", "other"],
    ["*,!web", "web"],
    ["web,!w*", "web"],
    ["!web,*", "web"],
    ["|1|c2FsdA==", "web"],
    ["|1|", "web"],
    ["|2|c2FsdA==|aGFzaA==", "web"],
  ])("does not know by the names %s the host %s", (patterns, name) => {
    expect(verdict(`${patterns} ${mine}\n`, name)).toEqual({ kind: "unknown" });
  });

  it("knows a hashed name by its salt, and none by another salt or name", () => {
    const hashed = (name: string, salt: string) =>
      createHmac("sha1", Buffer.from(salt)).update(name).digest("base64");
    const salt = Buffer.from("salt").toString("base64");
    expect(verdict(`|1|${salt}|${hashed("web", "salt")} ${mine}\n`, "web").kind).toBe("known");
    expect(verdict(`|1|${salt}|${hashed("web", "pepper")} ${mine}\n`, "web").kind).toBe("unknown");
    expect(verdict(`|1|${salt}|${hashed("web", "salt")} ${mine}\n`, "web2").kind).toBe("unknown");
    // A hashed name does not undo the one before it.
    expect(verdict(`web,|1|${salt}|${hashed("other", "salt")} ${mine}\n`, "web").kind).toBe("known");
  });

  it("knows another key: the one of the same type is named, else any", () => {
    const known = `web ssh-rsa AAAAB3\nweb ${other}\n`;
    expect(verdict(known, "web")).toMatchObject({ kind: "changed", at: { line: 2 } });
    expect(verdict("web ssh-rsa AAAAB3\n", "web")).toMatchObject({ kind: "changed", at: { line: 1 } });
    expect(verdict(`elsewhere ${other}\n`, "web")).toEqual({ kind: "unknown" });
    // What is revoked for the host is no key that it had.
    expect(verdict(`@revoked web ${other}\n`, "web")).toEqual({ kind: "unknown" });
    expect(verdict("@revoked web ssh-rsa AAAAB3\n", "web")).toEqual({ kind: "unknown" });
    // A beginning of the key is not the key.
    expect(verdict(`web ssh-ed25519 ${mine.split(" ")[1]!.slice(0, -4)}\n`, "web").kind).toBe("changed");
  });

  it("refuses what is revoked for this host, and takes no authority's key for the host's", () => {
    expect(verdict(`web ${mine}\n@revoked web ${mine}\n`, "web")).toMatchObject({
      kind: "revoked",
      at: { line: 2 },
    });
    expect(verdict(`web ${mine}\n@revoked elsewhere ${mine}\n`, "web").kind).toBe("known");
    expect(verdict(`@cert-authority web ${mine}\n`, "web").kind).toBe("unknown");
    expect(verdict(`web ${mine}\n@cert-authority web ${other}\n`, "web").kind).toBe("known");
    expect(verdict(`@cert-authority web ${other}\n`, "web").kind).toBe("unknown");
  });

  it("says which types of key a host has, each once, without those of others and authorities", () => {
    const text = `web ${mine}\nweb ssh-rsa AAAA\nweb ${other}\nelse ssh-dss AAAA\n@revoked web a AAAA\n@cert-authority web b AAAA\n`;
    expect(knownTypes(parseKnownHosts(text, "f"), "web")).toEqual(["ssh-ed25519", "ssh-rsa"]);
    expect(knownTypes([], "web")).toEqual([]);
  });

  it("has names in small letters, with the port unless it is 22", () => {
    expect(hostName("Web.Example.org", 22)).toBe("web.example.org");
    expect(hostName("Web", 2222)).toBe("[web]:2222");
  });
});

describe("a public key's blob", () => {
  it("has a type, and a fingerprint as ssh shows it", () => {
    expect(keyType(blobOf(mine))).toBe("ssh-ed25519");
    expect(keyType(Buffer.from([0, 0, 0, 0]))).toBe("");
    for (const short of [[], [0], [0, 0, 0]]) expect(keyType(Buffer.from(short))).toBe("");
    // `ssh-keygen -l` of the key in RFC 8032's first test.
    const blob = Buffer.from(
      "AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
      "base64",
    );
    expect(fingerprint(blob)).toBe("SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8");
  });
});
