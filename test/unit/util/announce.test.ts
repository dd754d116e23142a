import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { announced } from "../../../src/util/announce.ts";

describe("announced", () => {
  it("says what takes a while and how long it may, and nothing of what is quick or has failed", async () => {
    const said: string[] = [];
    const log = { info: (text: string) => void said.push(text) };
    expect(await announced("unit a.service", 59.5, log, async () => 1, 20)).toBe(1);
    await expect(announced("b", 60, log, () => Promise.reject(new Error("no")), 20)).rejects.toThrow("no");
    await sleep(60);
    expect(said).toEqual([]);
    await announced("unit a.service", 59.5, log, () => sleep(60), 20);
    expect(said).toEqual(["waiting, for at most 60 s: unit a.service"]);
  });
});
