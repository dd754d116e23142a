import { describe, expect, it } from "vitest";
import { imgbuild } from "../helpers/imgbuild.ts";

describe("a machine whose disk is blank", () => {
  it("is rebuilt by somebody at the console of a medium that holds all of its system, and its firmware starts it", async () => {
    const { code, stdout, stderr } = await imgbuild(
      ["rescue", "--test", "--offline", "--firmware", "uefi", "imgbuild/layouts/both-firmwares", "--json"],
      { env: process.env, timeoutMs: 1_200_000 },
    );
    expect(code, `${stdout}${stderr}`).toBe(0);
    const events = stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Drill]));
    const drill = events.find(({ event }) => event === "drill");
    expect(drill?.phases.map(({ phase }) => phase)).toEqual(["medium", "rebuild", "system"]);
    expect(drill!.checks.length).toBeGreaterThan(3);
    expect(drill!.checks.filter(({ ok }) => !ok)).toEqual([]);
  });
});

interface Drill {
  readonly event: string;
  readonly phases: readonly { readonly phase: string }[];
  readonly checks: readonly { readonly ok: boolean }[];
}
