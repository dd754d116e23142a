import { expect, it } from "vitest";
import { followGuide } from "../helpers/labs/guide.ts";

it("the guide's own commands, on a bare Debian 13 with the npm package, make a server of a stock host without serial, with a static network", async () => {
  const shown = await followGuide("trixie");
  expect(shown).toContain("everything is here");
  expect(shown).toMatch(/VERSION_ID="13"/);
});
