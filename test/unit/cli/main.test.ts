import { describe, expect, it } from "vitest";
import { imgbuild } from "../../helpers/imgbuild.ts";

const hidden = /[\p{Cc}\p{Cf}]/u;

describe("the command line", () => {
  const place = `/nowhere/a\x1b[2J\x9b1A\u202e\n  hint: no hint of ours`;
  const ran = (...args: string[]) => imgbuild(args, { env: process.env, timeoutMs: 60_000 });

  it("shows a failure with odd names harmlessly, and no line of them where a hint would be (F43)", async () => {
    const { code, stderr } = await ran("lock", place);
    expect(code).toBe(1);
    expect(stderr).toContain("a\\x1b[2J\\x9b1A\\u{202e}");
    expect(stderr.replaceAll("\n", "")).not.toMatch(hidden);
    expect(stderr.match(/^ {2}hint: .*$/gm)).not.toContain("  hint: no hint of ours");
  });

  it("shows a misuse with odd names harmlessly (F43)", async () => {
    const { code, stderr } = await ran(`lock\x1b[2J\u202e`);
    expect(code).toBe(2);
    expect(stderr).toContain("lock\\x1b[2J\\u{202e}");
    expect(stderr.replaceAll("\n", "")).not.toMatch(hidden);
  });

  it("stays JSON with --json, and as harmless (F43)", async () => {
    const { stdout } = await ran("--json", "lock", place);
    expect(stdout.replaceAll("\n", "")).not.toMatch(hidden);
    const [event] = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string; message: string });
    expect(event).toMatchObject({ event: "error", message: expect.stringContaining(place) });
  });
});
