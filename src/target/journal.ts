import { appendFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { type JournalEntry, type JournalEvent, JournalEntry as Schema } from "../schema/base/journal.ts";
import { readIfThere } from "../system/files/read-if-there.ts";
import { parsedJson } from "../util/digest.ts";
import type { Log } from "../util/log.ts";

/** Progress entries of one task are at least this far apart; the journal is kept whole in memory and on a tmpfs. */
const progressEveryMs = 1_000;
/** Entries kept; a run has a few hundred. */
const maxEntries = 20_000;

/** The runner's append-only record: every entry is in the file before it is sent. */
export class Journal {
  readonly entries: JournalEntry[] = [];
  readonly #file: string;
  readonly #uptime: () => number;
  readonly #listeners = new Set<(entry: JournalEntry) => void>();

  constructor(file: string, uptime: () => number) {
    this.#file = file;
    this.#uptime = uptime;
    mkdirSync(dirname(file), { recursive: true });
    const text = readIfThere(file) ?? "";
    for (const line of text.split("\n")) {
      const entry = Schema.safeParse(parsedJson(line));
      if (entry.success) this.entries.push(entry.data);
    }
    // The last line may be cut where the runner was killed, and must not swallow the next one.
    if (!/(^|\n)$/.test(text)) appendFileSync(file, "\n");
  }

  add(event: JournalEvent): void {
    if (this.entries.length >= maxEntries && event.type !== "state" && event.type !== "ponr") return;
    const entry: JournalEntry = { seq: this.entries.length + 1, at: round(this.#uptime()), event };
    this.entries.push(entry);
    appendFileSync(this.#file, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
    for (const listener of this.#listeners) listener(entry);
  }

  /** Calls `listener` for each later entry, until the returned function is called. */
  listen(listener: (entry: JournalEntry) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A log whose tasks become journal entries; `path` numbers them as in "2.1". */
export function journalLog(journal: Journal, clock: () => number = Date.now, path = ""): Log {
  let children = 0;
  let lastProgress = 0;
  return {
    async task(doing, work) {
      children += 1;
      const own = path === "" ? String(children) : `${path}.${children}`;
      const began = clock();
      journal.add({ type: "start", path: own, doing });
      const end = (ok: boolean) =>
        journal.add({ type: "end", path: own, doing, ok, seconds: round((clock() - began) / 1000) });
      try {
        const value = await work(journalLog(journal, clock, own));
        end(true);
        return value;
      } catch (error) {
        end(false);
        throw error;
      }
    },
    info: (message) => journal.add({ type: "info", message }),
    warn: (message) => journal.add({ type: "warn", message }),
    progress(done, total, unit) {
      const now = clock();
      if (now - lastProgress < progressEveryMs && done < total) return;
      lastProgress = now;
      journal.add({ type: "progress", path, done, total, unit });
    },
  };
}

function round(seconds: number): number {
  return Math.round(seconds * 100) / 100;
}
