import { describe, expect, it } from "vitest";
import { run } from "../../src/system/run/run.ts";
import { calendars } from "../helpers/builders/calendars.ts";

const systemd = async (text: string) =>
  (await run(["systemd-analyze", "calendar", "--", text], { accept: [0, 1] })).code === 0;

describe("what is taken for a calendar event", () => {
  it.each(calendars.right)("systemd takes too: %s", async (text) => {
    expect(await systemd(text)).toBe(true);
  });

  it.each(calendars.wrong)("systemd refuses too: %s", async (text) => {
    expect(await systemd(text)).toBe(false);
  });
});
