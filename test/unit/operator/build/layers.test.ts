import { mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { dropOld } from "../../../../src/operator/build/layers.ts";
import { hold } from "../../../../src/system/files/file-lock.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

it("drops what was used longest ago of a kind, whole, and nothing that is in use or in the making", async () => {
  const directory = tempDir();
  const names = ["upper-a", "upper-b", "upper-c", "upper-d", "upper-e.new-Ab3dEf", "disk-a", "tree"];
  for (const [age, name] of names.entries()) {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, "file"), name);
    utimesSync(join(directory, name), 1_000_000 - age, 1_000_000 - age);
  }
  await hold(join(directory, "upper-d"));
  // Holding is using.
  utimesSync(join(directory, "upper-d"), 5, 5);
  await dropOld({ directory, tree: join(directory, "tree") }, "upper-", 1);
  expect(readdirSync(directory).sort()).toEqual(
    ["upper-a", "upper-d", "upper-e.new-Ab3dEf", "disk-a", "tree"].sort(),
  );
});
