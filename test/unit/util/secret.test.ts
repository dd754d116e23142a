import { format, inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { jsonLog } from "../../../src/cli/terminal/log.ts";
import { filterRun } from "../../../src/system/run/filter.ts";
import { run } from "../../../src/system/run/run.ts";
import { Fail, messageOf } from "../../../src/util/fail.ts";
import { plainLog } from "../../../src/util/log.ts";
import { Secret } from "../../../src/util/secret.ts";

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

describe("a secret that a program repeats (F27)", () => {
  const value = "s3cret/päss&word line one\nand a second, quite different line\n";
  const held = new Secret("disk key", Buffer.from(value));
  const binary = new Secret(
    "binary",
    Buffer.from(Array.from({ length: 200 }, (_, index) => (index * 37 + 129) % 256)),
  );
  const parts = [value.trim(), ...value.trim().split("\n"), "s3cret", "second, quite"];
  const forms = (text: string) => {
    const bytes = Buffer.from(text);
    return [
      text,
      encodeURIComponent(text),
      JSON.stringify(text).slice(1, -1),
      bytes.toString("hex"),
      bytes.toString("base64").slice(0, 20),
    ];
  };
  const failing = async (script: string, stdin: Uint8Array = held.expose()) =>
    messageOf(await run(["sh", "-c", `${script}; exit 3`], { stdin }).catch((error: unknown) => error));

  it.each<[string, string]>([
    ["as it is", "cat >&2"],
    ["on stdout", "cat"],
    ["in two pieces, a moment apart", "(dd bs=1 count=9 2>/dev/null; sleep 0.2; cat) >&2"],
    ["one line of it", "tail -n 1 >&2"],
    ["in base64", "base64 -w 0 >&2"],
    ["in base64 of several lines", "base64 -w 76 >&2"],
    ["in base64, of a line", "head -n 1 | tr -d '\\n' | base64 -w 0 >&2"],
    ["in hexadecimal", "od -An -v -tx1 | tr -d ' \\n' >&2"],
    [
      "behind much else, cut within",
      "v=$(cat); head -c 60000 /dev/zero | tr '\\0' x >&2; printf %s \"$v\" >&2; head -c 1960 /dev/zero | tr '\\0' y >&2",
    ],
  ])("is its name in the failure, %s", async (_how, script) => {
    const message = await failing(script);
    expect(message).toMatch(/exited 3/);
    for (const part of parts) for (const form of forms(part)) expect(message).not.toContain(form);
  });

  it("is its name where it is no text", async () => {
    const hex = Buffer.from(binary.expose()).toString("hex");
    expect(await failing("od -An -v -tx1 | tr -d ' \\n' >&2", binary.expose())).not.toContain(
      hex.slice(20, 60),
    );
    expect(await failing("base64 >&2", binary.expose())).toContain("<secret binary>");
  });

  it("is its name in what a filter says, in the log and in JSON", async () => {
    async function* input() {
      yield held.expose();
    }
    const options = { input: input(), onOutput: () => {}, timeoutMs: 20_000 };
    const filtered = await filterRun(["sh", "-c", "cat >&2; exit 3"], options).catch(
      (error: unknown) => error,
    );
    const written: string[] = [];
    const events: unknown[] = [];
    for (const message of [messageOf(filtered), await failing("cat >&2")]) {
      plainLog({ write: (text) => void written.push(text) }, () => 0).warn(message);
      jsonLog(
        (event) => events.push(event),
        () => 0,
      ).warn(message);
    }
    const all = `${written.join("")}${JSON.stringify(events)}`;
    expect(all).toContain("<secret disk key>");
    for (const part of parts) expect(all).not.toContain(part);
  });

  it("is no longer looked for once it is wiped, and short ones never are", async () => {
    const short = new Secret("pin", Buffer.from("1234"));
    expect(await failing("echo 1234 >&2", short.expose())).toContain("1234");
    const gone = new Secret("gone", Buffer.from("long enough to be found"));
    gone.wipe();
    expect(await failing("echo long enough to be found >&2")).toContain("long enough to be found");
  });
});
