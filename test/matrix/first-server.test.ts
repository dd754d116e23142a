import { expect, it } from "vitest";
import { followGuide } from "../helpers/labs/guide.ts";

it("first-server-12: the guide's own commands, on a bare Debian 12 with the npm package, make a server of a stock host", async () => {
  const shown = await followGuide("bookworm", (text) => void process.stdout.write(text));
  expect(shown).toContain("everything is here");
  expect(shown).toMatch(/VERSION_ID="13"/);
});
