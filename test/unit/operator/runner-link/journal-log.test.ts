import { describe, expect, it } from "vitest";
import { replayJournal } from "../../../../src/operator/runner-link/journal-log.ts";
import type { JournalEvent } from "../../../../src/schema/base/journal.ts";
import type { Log } from "../../../../src/util/log.ts";

/** A log that writes down what it is told, with the depth at which it was told. */
function notes() {
  const lines: string[] = [];
  const at = (depth: string): Log => ({
    task: async (doing, work) => {
      lines.push(`${depth}> ${doing}`);
      try {
        return await work(at(`${depth}  `));
      } finally {
        lines.push(`${depth}< ${doing}`);
      }
    },
    info: (message) => void lines.push(`${depth}i ${message}`),
    warn: (message) => void lines.push(`${depth}w ${message}`),
    progress: (done, total, unit) => void lines.push(`${depth}${done}/${total} ${unit}`),
  });
  return { lines, log: at("") };
}

const start = (path: string, doing: string): JournalEvent => ({ type: "start", path, doing });
const end = (path: string, doing: string, ok = true): JournalEvent => ({
  type: "end",
  path,
  doing,
  ok,
  seconds: 1,
});
const settle = () => new Promise((resolve) => setImmediate(resolve));

async function replay(events: readonly JournalEvent[]): Promise<string[]> {
  const { lines, log } = notes();
  const show = replayJournal(log);
  for (const [index, event] of events.entries()) {
    show.entry({ seq: index + 1, at: index, event });
    await settle();
  }
  show.end();
  await settle();
  return lines;
}

describe("replayJournal", () => {
  it("nests tasks as the runner did, with their progress where it belongs", async () => {
    expect(
      await replay([
        { type: "state", state: "working" },
        start("1", "installing"),
        start("1.1", "unpacking"),
        { type: "progress", path: "1.1", done: 3, total: 9, unit: "packages" },
        end("1.1", "unpacking"),
        { type: "info", message: "all well" },
        end("1", "installing"),
        { type: "warn", message: "mind" },
        { type: "ponr" },
      ]),
    ).toEqual([
      "> installing",
      "  > unpacking",
      "    3/9 packages",
      "  < unpacking",
      "i all well",
      "< installing",
      "w mind",
    ]);
  });

  it("ends what is open when the link is lost, the innermost first, and lets nothing be unhandled", async () => {
    expect(await replay([start("1", "a"), start("1.1", "b")])).toEqual(["> a", "  > b", "  < b", "< a"]);
    expect(await replay([start("1", "a"), end("1", "a", false)])).toEqual(["> a", "< a"]);
  });

  it("shows what it came late for at the nearest task that it knows", async () => {
    expect(
      await replay([
        end("7", "before my time"),
        start("2", "a"),
        start("2.5.1", "c"),
        { type: "progress", path: "9.9", done: 1, total: 2, unit: "MiB" },
      ]),
    ).toEqual(["> a", "  > c", "1/2 MiB", "  < c", "< a"]);
  });
});
