import { describe, expect, it } from "vitest";
import { checkSpec } from "../../../../src/operator/check/check.ts";
import { Spec } from "../../../../src/schema/spec.ts";

function problems(change: Record<string, unknown>): string[] {
  return checkSpec(Spec.parse({ hostname: "web", ...change })).map(
    ({ path, message }) => `${path.join(".")}: ${message}`,
  );
}

const given = { "app.service": { credentials: ["token"] } };

describe("credentials of a service", () => {
  it("are secrets that are on the disk", () => {
    const secrets = { token: { file: "token.age", path: "/etc/app/token" } };
    expect(problems({ services: given, secrets })).toEqual([]);
    expect(problems({ services: given })).toEqual([
      "services.app.service.credentials.0: `token` needs an entry of that name in secrets, which has none",
    ]);
    expect(problems({ services: given, secrets: { token: { file: "token.age" } } })).toEqual([
      "secrets.token: needs a `path`, from which app.service takes it",
    ]);
  });

  it("are at a path that a unit can name", () => {
    for (const path of ["/etc/50%/token", "/etc/a token", "/etc/token\\"])
      expect(problems({ services: given, secrets: { token: { file: "t.age", path } } })).toEqual([
        "secrets.token.path: may hold letters, digits and `_.@+-/` only: app.service names this path",
      ]);
  });

  it("are for services alone", () => {
    expect(problems({ services: { "a.timer": { credentials: ["token"] } } })).toEqual([
      "services.a.timer.credentials: only a service takes credentials",
    ]);
  });
});

describe("the login of a store", () => {
  const key = `ed25519:${"A".repeat(43)}=`;
  const store = { url: "oci://registry.example.org/kept", key, login: "registry" };

  it("is a secret, of a registry", () => {
    const system = { stores: [store] };
    expect(problems({ system, secrets: { registry: { file: "registry.age" } } })).toEqual([]);
    expect(problems({ system })).toEqual([
      "system.stores.0.login: `registry` needs an entry of that name in secrets, which has none",
    ]);
    expect(() => problems({ system: { stores: [{ ...store, url: "https://store.example.org" }] } })).toThrow(
      /is for a registry/,
    );
  });
});
