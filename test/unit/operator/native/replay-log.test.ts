import { describe, expect, it } from "vitest";
import { jsonLog } from "../../../../src/cli/terminal/log.ts";
import { LogEvent, replayTo } from "../../../../src/operator/native/replay-log.ts";
import type { Log } from "../../../../src/util/log.ts";
import { plainLog } from "../../../../src/util/log.ts";

/** A minute between any two words, so that progress is always shown. */
function ticking(): () => number {
  let now = 0;
  return () => (now += 60_000);
}

/** What a plain log shows, without the times. */
function shown(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const write = (text: string) => void lines.push(text.replace(/ (in|after) .*\n$/, "\n"));
  return { log: plainLog({ write }, ticking()), lines };
}

async function work(log: Log): Promise<void> {
  await log.task("making", async (inner) => {
    inner.info("begun");
    await inner.task("fetching", async (deep) => deep.progress(3, 7, "packages"));
    await inner.task("fetching", async () => {});
    inner.warn("odd");
  });
  await log.task("failing", () => Promise.reject(new Error("no"))).catch(() => {});
}

describe("replayTo", () => {
  it("shows another process' events as they would look had it happened here", async () => {
    const here = shown();
    await work(here.log);
    const events: Record<string, unknown>[] = [];
    await work(jsonLog((event) => void events.push(event), ticking()));
    const there = shown();
    const { tell, close } = replayTo(there.log);
    for (const event of events) await tell(LogEvent.parse(JSON.parse(JSON.stringify(event))));
    await close();
    expect(there.lines).toEqual(here.lines);
    expect(there.lines).toHaveLength(11);
  });

  it("ends the tasks that a process which died has left, the innermost first", async () => {
    const there = shown();
    const { tell, close } = replayTo(there.log);
    await tell(LogEvent.parse({ event: "start", task: ["a"] }));
    await tell(LogEvent.parse({ event: "start", task: ["a", "b"] }));
    await close();
    expect(there.lines).toEqual(["a …\n", "  b …\n", "  b: FAILED\n", "a: FAILED\n"]);
  });

  it("passes by what it does not know", async () => {
    const there = shown();
    const { tell, close } = replayTo(there.log);
    await tell(LogEvent.parse({ event: "done", digest: "x", task: undefined }));
    await tell(LogEvent.parse({ event: "end", task: ["never begun"], ok: true }));
    await close();
    expect(there.lines).toEqual([]);
  });
});
