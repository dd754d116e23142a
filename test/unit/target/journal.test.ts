import { appendFileSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { JournalEntry } from "../../../src/schema/base/journal.ts";
import { Journal, journalLog } from "../../../src/target/journal.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

describe("Journal", () => {
  it("has every entry in its file before anybody hears of it", () => {
    const file = join(tempDir(), "deeper/journal.jsonl");
    const journal = new Journal(file, () => 12.345);
    const heard: unknown[] = [];
    journal.listen((entry) => {
      expect(readFileSync(file, "utf8").trimEnd().split("\n").at(-1)).toBe(JSON.stringify(entry));
      heard.push(entry);
    });
    journal.add({ type: "ponr" });
    journal.add({ type: "info", message: "a\nb" });
    expect(heard).toEqual([
      { seq: 1, at: 12.35, event: { type: "ponr" } },
      { seq: 2, at: 12.35, event: { type: "info", message: "a\nb" } },
    ]);
    expect(heard).toEqual(journal.entries);
    for (const entry of journal.entries) expect(JournalEntry.safeParse(entry).success).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("goes on where a journal before it ended", () => {
    const file = join(tempDir(), "journal.jsonl");
    new Journal(file, () => 1).add({ type: "state", state: "waiting" });
    const again = new Journal(file, () => 2);
    again.add({ type: "state", state: "working" });
    expect(again.entries.map(({ seq, at }) => [seq, at])).toEqual([
      [1, 1],
      [2, 2],
    ]);
    expect(new Journal(file, () => 3).entries).toEqual(again.entries);
  });

  it("reads what is whole of a journal that was cut in its last line", () => {
    const file = join(tempDir(), "journal.jsonl");
    new Journal(file, () => 1).add({ type: "ponr" });
    appendFileSync(file, '{"seq":2,"at":1,"ev');
    expect(new Journal(file, () => 2).entries).toHaveLength(1);
  });

  it("stops telling a listener that left", () => {
    const journal = new Journal(join(tempDir(), "j"), () => 1);
    const heard: number[] = [];
    const leave = journal.listen(({ seq }) => heard.push(seq));
    journal.add({ type: "ponr" });
    leave();
    journal.add({ type: "ponr" });
    expect(heard).toEqual([1]);
  });
});

describe("journalLog", () => {
  it("numbers nested tasks, times them, and tells failures", async () => {
    const journal = new Journal(join(tempDir(), "j"), () => 1);
    let now = 5_000;
    const log = journalLog(journal, () => now);
    await log.task("a", async (inner) => {
      now += 1_500;
      await inner.task("b", async () => {});
      await expect(
        inner.task("c", async () => {
          throw new Error("no");
        }),
      ).rejects.toThrow("no");
    });
    expect(journal.entries.map(({ event }) => event)).toEqual([
      { type: "start", path: "1", doing: "a" },
      { type: "start", path: "1.1", doing: "b" },
      { type: "end", path: "1.1", doing: "b", ok: true, seconds: 0 },
      { type: "start", path: "1.2", doing: "c" },
      { type: "end", path: "1.2", doing: "c", ok: false, seconds: 0 },
      { type: "end", path: "1", doing: "a", ok: true, seconds: 1.5 },
    ]);
  });

  it("keeps progress to an entry a second, and always the last one", () => {
    const journal = new Journal(join(tempDir(), "j"), () => 1);
    let now = 5_000;
    const log = journalLog(journal, () => now);
    for (let done = 1; done <= 100; done++) {
      log.progress(done, 100, "MiB");
      now += 30;
    }
    const seen = journal.entries.map(({ event }) => (event.type === "progress" ? event.done : 0));
    expect(seen).toEqual([1, 35, 69, 100]);
  });
});
