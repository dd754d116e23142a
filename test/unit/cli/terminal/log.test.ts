import { describe, expect, it, onTestFinished } from "vitest";
import { coloursFor } from "../../../../src/cli/terminal/colour.ts";
import { jsonLog, liveLog, quietLog } from "../../../../src/cli/terminal/log.ts";
import type { Timeline } from "../../../../src/cli/terminal/timings.ts";
import type { Log } from "../../../../src/util/log.ts";
import { plainLog } from "../../../../src/util/log.ts";

/** An output that remembers, and a clock that is moved by hand. */
function fakes(columns?: number) {
  const written: string[] = [];
  const state = { now: 1_000_000 };
  const out = {
    write: (text: string) => void written.push(text),
    ...(columns === undefined ? {} : { columns }),
  };
  return { written, out, clock: () => state.now, pass: (ms: number) => (state.now += ms) };
}

async function fails(log: Log): Promise<void> {
  await log.task("breaking", async () => {
    throw new Error("broken");
  });
}

describe("plainLog", () => {
  it("nests tasks, times them, and gives their value", async () => {
    const { written, out, clock, pass } = fakes();
    const value = await plainLog(out, clock).task("building", async (log) => {
      log.info("a fact");
      return await log.task("formatting", async (inner) => {
        pass(1_500);
        inner.warn("careful");
        return 7;
      });
    });
    expect(value).toBe(7);
    expect(written.join("")).toBe(
      "building …\n  a fact\n  formatting …\n    warning: careful\n  formatting: done in 1.5 s\nbuilding: done in 1.5 s\n",
    );
  });

  it("tells a failed task and passes the failure on", async () => {
    const { written, out, clock } = fakes();
    await expect(fails(plainLog(out, clock))).rejects.toThrow("broken");
    expect(written.join("")).toBe("breaking …\nbreaking: FAILED after 0.0 s\n");
  });

  it("shows progress every few seconds only", () => {
    const { written, out, clock, pass } = fakes();
    const log = plainLog(out, clock);
    for (let done = 1; done <= 100; done++) {
      log.progress(done, 100, "packages");
      pass(100);
    }
    expect(written).toEqual(["1 of 100 packages\n", "51 of 100 packages\n"]);
  });
});

describe("jsonLog", () => {
  it("emits an event for everything, with the path of tasks", async () => {
    const events: unknown[] = [];
    const { clock, pass } = fakes();
    const log = jsonLog((event) => events.push(event), clock);
    await log.task("a", async (inner) => {
      inner.progress(1, 2, "MiB");
      pass(250);
      await expect(fails(inner)).rejects.toThrow();
    });
    log.warn("w");
    expect(events).toEqual([
      { event: "start", task: ["a"] },
      { event: "progress", task: ["a"], done: 1, total: 2, unit: "MiB" },
      { event: "start", task: ["a", "breaking"] },
      { event: "end", task: ["a", "breaking"], ok: false, seconds: 0 },
      { event: "end", task: ["a"], ok: true, seconds: 0.25 },
      { event: "warn", task: [], message: "w" },
    ]);
  });
});

describe("a log of what a host says (F43)", () => {
  const hostile = "a\x1b[2J\x9b1A\u202e\r\n\x1b]0;t\x07done";
  const tellAll = async (log: Log) => {
    await log.task(hostile, async (inner) => {
      inner.info(hostile);
      inner.warn(hostile);
      inner.progress(1, 2, hostile);
    });
  };

  it("lets nothing through that a terminal would act on, as plain lines", async () => {
    const { written, out, clock } = fakes();
    await tellAll(plainLog(out, clock));
    const text = written.join("");
    expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    // A second line stands deeper than one of ours could.
    expect(text.split("\n").filter((line) => /^( {2})?(?! )\\x1b/.test(line))).toEqual([]);
    expect(text).toContain("  a\\x1b[2J\\x9b1A\\u{202e}\n    \\x1b]0;t\\x07done\n");
  });

  it("lets nothing through but its own redrawing, live", async () => {
    const { written, out, clock } = fakes();
    const { log, stop } = liveLog(out, clock);
    onTestFinished(stop);
    await tellAll(log);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what it writes itself
    const others = written.join("").replaceAll(/\x1b\[\d+A\x1b\[J|\n/g, "");
    expect(others).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});

describe("liveLog", () => {
  function live(columns?: number) {
    const fake = fakes(columns);
    const { log, stop } = liveLog(fake.out, fake.clock);
    onTestFinished(stop);
    return { ...fake, log, stop };
  }

  it("leaves finished tasks as lines and takes the running ones away at the end", async () => {
    const { written, log, pass, stop } = live();
    await log.task("building", async (inner) => {
      inner.progress(3, 9, "packages");
      await inner.task("formatting", async () => pass(2_000));
      await expect(fails(inner)).rejects.toThrow();
      inner.info("a fact");
    });
    stop();
    expect(screen(written)).toEqual([
      "  ✔ formatting 2.0 s",
      "  ✘ breaking 0.0 s",
      "  a fact",
      "✔ building 2.0 s",
    ]);
  });

  it("draws the running tasks with their progress", async () => {
    const { written, log, pass } = live();
    await log.task("building", async (inner) => {
      inner.progress(3, 9, "packages");
      pass(1_000);
      await inner.task("formatting", async () => {
        expect(screen(written)).toEqual(["▸ building 1.0 s · 3 of 9 packages", "  ▸ formatting 0.0 s"]);
      });
    });
  });

  it("draws tasks that run side by side, and cuts lines at the terminal's width", async () => {
    const { written, log } = live(20);
    await log.task("a", async (inner) => {
      await Promise.all([
        inner.task("fetching a very long name of a package", async () => {}),
        inner.task("b", async () => {
          expect(screen(written)).toEqual(["▸ a 0.0 s", "  ▸ fetching a very", "  ▸ b 0.0 s"]);
        }),
      ]);
    });
  });
});

/** The lines that a terminal shows after all that was written. */
function screen(written: readonly string[]): string[] {
  const lines: string[] = [];
  for (const text of written) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what moves a terminal's cursor is one
    const up = /^\x1b\[(\d+)A\x1b\[J/.exec(text);
    if (up !== null) lines.splice(lines.length - Number(up[1]));
    const rest = text.slice(up?.[0].length ?? 0);
    if (rest !== "") lines.push(...rest.replace(/\n$/, "").split("\n"));
  }
  return lines.map((line) => line.trimEnd());
}

describe("quietLog", () => {
  it("shows warnings alone", async () => {
    const { written, out } = fakes();
    await quietLog(out).task("building", async (log) => {
      log.info("a fact");
      log.progress(1, 2, "packages");
      await log.task("formatting", async (inner) => inner.warn("careful"));
    });
    expect(written).toEqual(["warning: careful\n"]);
  });
});

describe("what is left", () => {
  it("is shown below the running tasks, by the last time of the same ones", async () => {
    const { written, out, clock, pass } = fakes();
    const last = {
      total: 300_000,
      tasks: { building: [0, 200_000], "building / formatting": [20_000, 60_000] },
    } satisfies Timeline;
    const { log, timeline, stop } = liveLog(out, clock, { last });
    await log.task("building", async (inner) => {
      pass(1_000);
      await inner.task("formatting", async () => {
        pass(30_000);
      });
      await inner.task("unknown", async () => {});
    });
    stop();
    const shown = written.join("");
    // 300 s less 20 s when formatting begins; less one second when only the whole is known.
    expect(shown).toContain("about 5 min left, by the last time\n");
    expect(timeline()).toEqual({
      total: 31_000,
      tasks: {
        building: [0, 31_000],
        "building / formatting": [1_000, 30_000],
        "building / unknown": [31_000, 0],
      },
    });
  });
});

describe("colours", () => {
  it("are for terminals, unless the user asks for none", () => {
    const terminal = { isTTY: true };
    expect(coloursFor(terminal, {}).bad("x")).toBe("\x1b[31mx\x1b[0m");
    for (const [stream, env] of [
      [{}, {}],
      [terminal, { NO_COLOR: "1" }],
      [terminal, { TERM: "dumb" }],
    ] as const)
      expect(coloursFor(stream, env).bad("x")).toBe("x");
  });
});
