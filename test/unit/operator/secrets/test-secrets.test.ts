import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { testSecrets } from "../../../../src/operator/secrets/test-secrets.ts";
import { Spec } from "../../../../src/schema/spec.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const spec = Spec.parse({
  hostname: "web",
  users: { admin: { hashedPasswordSecret: "password" } },
  secrets: {
    wireguard: { file: "../secrets/wg.age", path: "/etc/wg" },
    token: { file: "../secrets/token.age", path: "/etc/token" },
    password: { file: "../secrets/password.age" },
  },
});
const texts = (secrets: Awaited<ReturnType<typeof testSecrets>>) =>
  Object.fromEntries([...secrets].map(([name, secret]) => [name, Buffer.from(secret.expose()).toString()]));

describe("secrets of a test", () => {
  it("are one's own where there is a file for them, else made up", async () => {
    const dir = tempDir();
    mkdirSync(join(dir, "secrets/test"), { recursive: true });
    writeFileSync(join(dir, "secrets/test/wg"), "a key for tests\n");
    const found = texts(await testSecrets({ spec, dir: join(dir, "web") }));
    expect(found.wireguard).toBe("a key for tests\n");
    expect(found.token).toMatch(/^[0-9a-f]{48}\n$/);
    expect(found.password).toMatch(/^\$y\$j9T\$/);
    expect(found).toEqual(texts(await testSecrets({ spec, dir: join(dir, "web") })));
  });

  it("are well-formed keys where WireGuard reads them, one for each", async () => {
    const key = `${"A".repeat(42)}E=`;
    const device = {
      kind: "wireguard",
      privateKeySecret: "vpn",
      peers: [{ publicKey: key, allowedIps: ["192.0.2.0/24"], presharedKeySecret: "shared" }],
    };
    const secrets = { vpn: { file: "vpn.age" }, shared: { file: "shared.age" } };
    const server = Spec.parse({ hostname: "web", network: { vpn: { device } }, secrets });
    const { vpn, shared } = texts(await testSecrets({ spec: server, dir: tempDir() }));
    for (const one of [vpn, shared]) expect(one).toMatch(/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=\n$/);
    expect(vpn).not.toBe(shared);
  });

  it("are refused where a file cannot be read", async () => {
    const dir = tempDir();
    mkdirSync(join(dir, "secrets/test/wg"), { recursive: true });
    await expect(testSecrets({ spec, dir: join(dir, "web") })).rejects.toThrow(
      /^the test secret \/.*\/secrets\/test\/wg cannot be read: /,
    );
  });
});
