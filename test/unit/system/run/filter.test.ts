import { describe, expect, it } from "vitest";
import { filterRun } from "../../../../src/system/run/filter.ts";

async function* pieces(count: number, bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < count; at += 1) yield Buffer.alloc(bytes, at);
}

describe("filterRun", () => {
  it("passes bytes through a program in order, more than any pipe holds", async () => {
    const found: Buffer[] = [];
    await filterRun(["cat"], {
      input: pieces(50, 100_000),
      onOutput: (chunk) => found.push(chunk),
      timeoutMs: 20_000,
    });
    const whole = Buffer.concat(found);
    expect(whole.length).toBe(5_000_000);
    expect([whole[0], whole[4_999_999]]).toEqual([0, 49]);
  });

  it("does not wait for a program that reads no more", async () => {
    await filterRun(["head", "-c", "1"], {
      input: pieces(500, 100_000),
      onOutput: () => {},
      timeoutMs: 20_000,
    });
  });

  it("fails with the program's words, with its time, with the reason of an interruption, with a reader's failure", async () => {
    const options = {
      get input() {
        return pieces(1, 1);
      },
      onOutput: () => {},
      timeoutMs: 20_000,
    };
    await expect(filterRun(["sh", "-c", "echo broken >&2; exit 3"], options)).rejects.toThrow(
      /sh -c .* exited 3\nbroken$/,
    );
    await expect(filterRun(["sleep", "60"], { ...options, timeoutMs: 100 })).rejects.toThrow(
      "sleep 60 did not end within 0 s",
    );
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error("stopped")), 100);
    await expect(filterRun(["sleep", "60"], { ...options, signal: stop.signal })).rejects.toThrow("stopped");
    const onOutput = () => {
      throw new Error("the reader fails");
    };
    await expect(filterRun(["cat"], { ...options, onOutput })).rejects.toThrow("the reader fails");
    await expect(filterRun(["/no/such/program"], options)).rejects.toThrow(
      "program not found: /no/such/program",
    );
  });
});
