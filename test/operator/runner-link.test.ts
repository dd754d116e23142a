import { duplexPair } from "node:stream";
import { describe, expect, it } from "vitest";
import { greet, LinkLost } from "../../src/operator/runner-link.ts";
import type { BaseReport, FromRunner, JournalEntry } from "../../src/schema/journal.ts";

const hello: FromRunner = {
  type: "hello",
  protocol: 2,
  nonce: "n",
  bootId: "b",
  state: "waiting",
  seq: 0,
  recipient: "age1x",
};
const report: BaseReport = {
  outcome: "done",
  ponr: true,
  bootId: "b",
  peakMemoryMib: 1,
  totalMemoryMib: 2,
  fetched: { packages: 0, bytes: 0 },
  seconds: [],
};
const entry = (seq: number): JournalEntry => ({ seq, at: seq, event: { type: "info", message: `é${seq}` } });

/** Two ends of one stream: ours, and a runner's that says what it is told to and hears what we say. */
function pair() {
  const [ours, theirs] = duplexPair();
  const heard: unknown[] = [];
  theirs.setEncoding("utf8");
  theirs.on("data", (text: string) => {
    for (const line of text.trim().split("\n")) heard.push(JSON.parse(line));
  });
  const say = (...messages: FromRunner[]) =>
    void theirs.write(messages.map((message) => `${JSON.stringify(message)}\n`).join(""));
  return { ours, theirs, heard, say };
}

describe("greet", () => {
  it("waits for the greeting, also when it comes byte by byte", async () => {
    const { ours, theirs } = pair();
    const link = greet(ours, 5_000);
    for (const byte of Buffer.from(`${JSON.stringify(hello)}\n`)) theirs.write(Buffer.from([byte]));
    expect((await link).hello).toEqual(hello);
  });

  it.each<[string, (theirs: ReturnType<typeof pair>) => void, RegExp]>([
    ["nothing is said", () => {}, /did not greet/],
    ["the stream ends", ({ theirs }) => theirs.end(), /did not greet/],
    ["something else is said", ({ say }) => say({ type: "journal", entry: entry(1) }), /did not greet/],
    ["no JSON is said", ({ theirs }) => void theirs.write("SSH-2.0-OpenSSH\r\n"), /did not greet/],
    [
      "the greeting has a field more",
      ({ theirs }) => void theirs.write(`${JSON.stringify({ ...hello, more: 1 })}\n`),
      /did not greet/,
    ],
    [
      "the runner is of another version",
      ({ say }) => say({ ...hello, protocol: 1 }),
      /speaks protocol 1, this imgbuild 2/,
    ],
    ["a line does not end", ({ theirs }) => void theirs.write("x".repeat(5 * 2 ** 20)), /did not greet/],
  ])("refuses when %s, and closes the stream", async (_what, act, message) => {
    const ends = pair();
    act(ends);
    await expect(greet(ends.ours, 200)).rejects.toThrow(message);
    expect(ends.ours.destroyed).toBe(true);
  });
});

describe("a link to a runner", () => {
  it("follows from where it is told, entry by entry, to the report", async () => {
    const { ours, heard, say } = pair();
    say(hello, { type: "journal", entry: entry(4) });
    const link = await greet(ours, 5_000);
    const seen: number[] = [];
    const outcome = link.follow(3, ({ seq }) => seen.push(seq));
    say(
      { type: "journal", entry: entry(5) },
      { type: "journal", entry: entry(6) },
      { type: "report", report },
    );
    expect(await outcome).toEqual(report);
    expect(seen).toEqual([4, 5, 6]);
    link.send({ type: "restart" });
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toEqual([{ type: "follow", after: 3 }, { type: "restart" }]);
  });

  it("keeps characters whole that come in two chunks", async () => {
    const { ours, theirs, say } = pair();
    say(hello);
    const link = await greet(ours, 5_000);
    const messages: string[] = [];
    const outcome = link.follow(0, ({ event }) => event.type === "info" && messages.push(event.message));
    const bytes = Buffer.from(`${JSON.stringify({ type: "journal", entry: entry(1) })}\n`);
    const cut = bytes.indexOf(0xc3) + 1;
    theirs.write(bytes.subarray(0, cut));
    theirs.write(bytes.subarray(cut));
    say({ type: "report", report });
    await outcome;
    expect(messages).toEqual(["é1"]);
  });

  it("tells a refusal with its hint", async () => {
    const { ours, say } = pair();
    say(hello);
    const link = await greet(ours, 5_000);
    const outcome = link.follow(0, () => {});
    say({ type: "refused", message: "too late", hint: "be early" });
    await expect(outcome).rejects.toMatchObject({
      name: "Fail",
      message: "the runner refused: too late",
      hint: "be early",
    });
  });

  it("tells that the runner was started anew, which greets again", async () => {
    const { ours, say } = pair();
    say(hello);
    const link = await greet(ours, 5_000);
    const outcome = link.follow(0, () => {});
    say({ ...hello, state: "failed", message: "the runner died while it worked" });
    await expect(outcome).rejects.toThrow("started anew: the runner died while it worked");
  });

  it.each<[string, (ends: ReturnType<typeof pair>) => void]>([
    ["ends", ({ theirs }) => theirs.end()],
    ["breaks", ({ ours }) => ours.destroy(new Error("ECONNRESET"))],
    ["speaks nonsense", ({ theirs }) => void theirs.write("{}\n")],
  ])("is lost when the stream %s before the report", async (_what, act) => {
    const ends = pair();
    ends.say(hello);
    const link = await greet(ends.ours, 5_000);
    const outcome = link.follow(0, () => {});
    act(ends);
    await expect(outcome).rejects.toBeInstanceOf(LinkLost);
    await expect(link.follow(0, () => {})).rejects.toBeInstanceOf(LinkLost);
  });
});
