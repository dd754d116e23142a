import { describe, expect, it } from "vitest";
import {
  keptIdentityName,
  keptIdentityText,
  readKeptIdentity,
} from "../../../../src/steps/tree/kept-identity.ts";
import { Secret } from "../../../../src/util/secret.ts";

const secret = (name: string, text: string) => [name, new Secret(name, Buffer.from(text))] as const;
const machineId = "0123456789abcdef0123456789abcdef";

describe("the identity of a machine that is kept", () => {
  it("brings host keys and machine-id back, and no other secret", () => {
    const keys = new Map([
      secret("hostkey:ssh_host_ed25519_key", "ED25519\n"),
      secret("hostkey:ssh_host_rsa_key", "RSA\n"),
      secret("password", "never"),
    ]);
    const text = keptIdentityText({ hostname: "web", machineId }, keys);
    expect(Buffer.from(text).toString()).not.toContain("never");
    const read = readKeptIdentity(text, "a file");
    expect(read.machineId).toBe(machineId);
    expect([...read.hostKeys].map(([name, key]) => [name, Buffer.from(key.expose()).toString()])).toEqual([
      ["hostkey:ssh_host_ed25519_key", "ED25519\n"],
      ["hostkey:ssh_host_rsa_key", "RSA\n"],
    ]);
    expect(keptIdentityName("web")).toBe("web-host-keys.age");
  });

  it.each(["", "{}", '{"version":1,"hostname":"web","hostKeys":{"../authorized_keys":"KEY"}}'])(
    "is refused where the text is %j, without showing it",
    (text) => {
      expect(() => readKeptIdentity(Buffer.from(text), "x.age")).toThrow(
        /^x\.age does not hold the host keys of a machine$/,
      );
    },
  );
});
