import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Destination, resolveTarget } from "../../../src/transport/destination.ts";
import { hostKeyCheck } from "../../../src/transport/host-key.ts";
import { generateSshKey } from "../../../src/transport/keys.ts";
import { fingerprint } from "../../../src/transport/known-hosts.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const [mine, other] = [generateSshKey("mine").public, generateSshKey("other").public];
const blobOf = (text: string) => Buffer.from(text.split(" ")[1]!, "base64");
const everyType = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
];

/** Where `target` leads, with these files of known hosts. */
function destinationOf(target: string, ...contents: string[]): Destination {
  const dir = tempDir();
  const knownHostsFiles = contents.map((content, index) => {
    writeFileSync(join(dir, `known_hosts${index}`), content);
    return join(dir, `known_hosts${index}`);
  });
  return resolveTarget(target, { home: dir, knownHostsFiles });
}

describe("a host's key by known_hosts (F24)", () => {
  it("is taken from any of the files, an absent one among them", () => {
    const there = destinationOf("web", "", `web ${mine}\n`);
    const destination = { ...there, knownHostsFiles: ["/nowhere/known_hosts", ...there.knownHostsFiles] };
    const check = hostKeyCheck(destination, undefined);
    expect(check.verify(blobOf(mine))).toBe(true);
    expect(check.problem()).toBeUndefined();
    expect(check.verify(blobOf(other))).toBe(false);
    expect(check.problem()?.message).toMatch(/has changed: .* known at .*known_hosts1:1$/);
  });

  it("stops where a file cannot be read, instead of going on without it", () => {
    const destination = destinationOf("web");
    const dir = tempDir();
    mkdirSync(join(dir, "known_hosts"));
    expect(() =>
      hostKeyCheck({ ...destination, knownHostsFiles: [join(dir, "known_hosts")] }, undefined),
    ).toThrow(/known_hosts cannot be read: it is a directory/);
  });

  it("is looked for under the name that ssh_config gives it, with the port", () => {
    const destination = { ...destinationOf("web:2222", `[alias]:2222 ${mine}\n`), keyName: "Alias" };
    expect(hostKeyCheck(destination, undefined).verify(blobOf(mine))).toBe(true);
    expect(hostKeyCheck({ ...destination, port: 22 }, undefined).verify(blobOf(mine))).toBe(false);
  });

  it("is asked for in the types that are known, in ours where none is", () => {
    const asked = (...contents: string[]) =>
      hostKeyCheck(destinationOf("web", ...contents), undefined).algorithms;
    expect(asked("")).toEqual(everyType);
    expect(asked("web ssh-rsa AAAA\n", "web ssh-dss AAAA\n")).toEqual(["rsa-sha2-512", "rsa-sha2-256"]);
    expect(asked(`web ecdsa-sha2-nistp384 AAAA\nweb ${mine}\n`)).toEqual([
      "ssh-ed25519",
      "ecdsa-sha2-nistp384",
    ]);
    expect(() => asked("web ssh-dss AAAA\nweb sk AAAA\n")).toThrow(
      "only host keys of type ssh-dss, sk are known for web",
    );
  });

  it("is refused with what to do: the command for the port, and the file to add it to", () => {
    const shown = `ssh-ed25519 ${fingerprint(blobOf(mine))}`;
    const problemOf = (destination: Destination) => {
      const check = hostKeyCheck(destination, undefined);
      expect(check.verify(blobOf(mine))).toBe(false);
      return check.problem()!;
    };
    const unknown = problemOf(destinationOf("web:2222", ""));
    expect(unknown.message).toBe(`the host key of [web]:2222 is not known: ${shown}`);
    expect(unknown.hint).toMatch(/`ssh-keyscan -p 2222 web` to .*known_hosts0$/);
    expect(problemOf(destinationOf("web")).hint).toMatch(/`ssh-keyscan web` to known_hosts$/);
    expect(problemOf(destinationOf("web", `web ${other}\n`)).hint).toMatch(/ssh-keygen -R 'web'$/);
    expect(problemOf(destinationOf("web", `@revoked web ${mine}\n`)).message).toMatch(
      /^the host key of web is revoked at .*known_hosts0:1: ssh-ed25519 SHA256:/,
    );
  });
});

describe("a host's key by pins", () => {
  it("may be pinned by its fingerprint, which says nothing of its type", () => {
    const destination = destinationOf("web", `web ${other}\n`);
    const check = hostKeyCheck(destination, [fingerprint(blobOf(mine))]);
    expect(check.algorithms).toEqual(everyType);
    expect(check.verify(blobOf(mine))).toBe(true);
    expect(check.verify(blobOf(other))).toBe(false);
    expect(check.problem()?.message).toContain(`but with ssh-ed25519 ${fingerprint(blobOf(other))}`);
    expect(hostKeyCheck(destination, [fingerprint(blobOf(mine)), other]).verify(blobOf(other))).toBe(true);
  });

  it("is exactly one of them, whatever known_hosts says, a comment and spaces aside", () => {
    const destination = destinationOf("web", `web ${other}\n`);
    const check = hostKeyCheck(destination, [` ${mine.replace(" ", "  ")}  a comment\n`]);
    expect(check.algorithms).toEqual(["ssh-ed25519"]);
    expect(check.verify(blobOf(mine))).toBe(true);
    expect(check.problem()).toBeUndefined();
    expect(check.verify(blobOf(other))).toBe(false);
    expect(check.problem()?.message).toBe(
      `web does not answer with the expected host key, but with ssh-ed25519 ${fingerprint(blobOf(other))}`,
    );
    expect(hostKeyCheck(destination, [mine, other]).verify(blobOf(other))).toBe(true);
  });

  it("is none where the pins are empty or of no type that can be asked for", () => {
    expect(() => hostKeyCheck(destinationOf("web"), [])).toThrow(/only host keys of type/);
    expect(() => hostKeyCheck(destinationOf("web"), [""])).toThrow(/only host keys of type/);
    expect(() => hostKeyCheck(destinationOf("web"), ["ssh-dss AAAA"])).toThrow(/only host keys of type/);
    // No key's text: nothing is equal to it, not even nothing.
    expect(hostKeyCheck(destinationOf("web"), ["ssh-ed25519"]).verify(Buffer.alloc(0))).toBe(false);
  });
});
