import { format, inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { Fail, messageOf } from "../../src/util/fail.ts";
import { Secret } from "../../src/util/secret.ts";

const plain = "correct horse battery staple";
const secret = new Secret("token", Buffer.from(plain));

describe("a secret (F27)", () => {
  it.each<[string, () => string]>([
    ["a template", () => `${secret}`],
    ["a concatenation", () => `it is ${String(secret)}`],
    ["JSON", () => JSON.stringify({ secrets: { token: secret }, list: [secret] })],
    ["JSON of a map's entries", () => JSON.stringify([...new Map([["token", secret]])])],
    ["console", () => format("%s %o %j", secret, secret, secret)],
    ["inspect, at any depth", () => inspect({ a: { b: { c: [secret] } } }, { depth: 20, showHidden: true })],
    ["a failure and its causes", () => inspect(new Fail(`no use for ${secret}`, { cause: { secret } }))],
    ["a message", () => messageOf(new Error(`no use for ${secret}`))],
  ])("shows its name alone in %s", (_where, show) => {
    const text = show();
    const forms = [plain, ...(["base64", "hex"] as const).map((one) => Buffer.from(plain).toString(one))];
    for (const form of forms) expect(text).not.toContain(form);
    // The bytes as numbers, as inspect would show an array of them.
    expect(text).not.toMatch(/99,\s*111,\s*114|63 6f 72 72/);
    expect(text).toContain("<secret token>");
  });

  it("gives its bytes to who asks for them, until it is wiped", () => {
    const one = new Secret("one", Buffer.from("abc"));
    const bytes = one.expose();
    expect(Buffer.from(bytes).toString()).toBe("abc");
    one.wipe();
    expect([...bytes]).toEqual([0, 0, 0]);
  });
});
