import { duplexPair } from "node:stream";
import { describe, expect, it } from "vitest";
import { greet, LinkLost } from "../../../../src/operator/runner-link/runner-link.ts";
import type { BaseReport, FromRunner, JournalEntry } from "../../../../src/schema/base/journal.ts";
import { Fail } from "../../../../src/util/fail.ts";

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

describe("greet, also a runner of another version (F41)", () => {
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

  it("waits through a silence while the runner greets, and is lost when it does not", async () => {
    const { ours, say } = pair();
    say(hello);
    const link = await greet(ours, 5_000);
    let asked = 0;
    const open = async () => {
      asked += 1;
      const other = pair();
      // A stopped process: the kernel takes the connection, and nobody says anything.
      if (asked < 3) other.say(hello);
      return other.ours;
    };
    await expect(link.follow(0, () => {}, { open, slow: 2, boundMs: 50 })).rejects.toMatchObject({
      message: "the runner has said nothing for 0 s and greets nobody",
    });
    expect(asked).toBe(3);
    const late = pair();
    late.say(hello);
    const spoken = (await greet(late.ours, 5_000)).follow(0, () => {}, {
      open: async () => {
        late.say({ type: "report", report });
        throw new Fail("no route to host");
      },
      slow: 1,
      boundMs: 50,
    });
    expect(await spoken).toEqual(report);
  });

  it("gives a runner its time whatever factor it is given: a link is not lost because its runner works in silence", async () => {
    const { ours, say } = pair();
    say(hello);
    let asked = 0;
    const open = async () => {
      asked += 1;
      throw new Fail("no route to host");
    };
    const following = (await greet(ours, 5_000)).follow(0, () => {}, { open, slow: 0, boundMs: 5_000 });
    setTimeout(() => say({ type: "report", report }), 20);
    expect(await following).toEqual(report);
    expect(asked).toBe(0);
  });

  it("says whether an abort was taken, refused, or is not known", async () => {
    const aborted = async (act: (ends: ReturnType<typeof pair>) => void) => {
      const ends = pair();
      ends.say(hello);
      const link = await greet(ends.ours, 5_000);
      const outcome = link.abort();
      act(ends);
      return await outcome;
    };
    expect(await aborted(({ say }) => say({ type: "returning" }))).toBe(true);
    expect(await aborted(({ theirs }) => theirs.end())).toBe(false);
    await expect(aborted(({ say }) => say({ type: "refused", message: "too late" }))).rejects.toThrow(
      "the runner refused: too late",
    );
  });
});
