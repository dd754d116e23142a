import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { digestSources } from "../../../../src/operator/base/source-digest.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const sources = {
  "tree/tree.ts": "1",
  "debian/keyrings/trixie.asc": "1",
  "steps/disk/mount.ts": "1",
  "cli/commands/build.ts": "1",
  "vm/machine/qemu.ts": "1",
};

async function digestWith(changed: Readonly<Record<string, string>>): Promise<string> {
  const directory = tempDir();
  for (const [name, content] of Object.entries({ ...sources, ...changed })) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), content);
  }
  return await digestSources(directory);
}

describe("the digest of our sources", () => {
  it("changes with all that decides what an image holds, a folder that is new included", async () => {
    const before = await digestWith({});
    for (const name of [
      "tree/tree.ts",
      "debian/keyrings/trixie.asc",
      "steps/disk/mount.ts",
      "disks/guard.ts",
    ])
      expect(await digestWith({ [name]: "2" }), name).not.toBe(before);
  });

  it("does not change with the command line, or with what runs machines", async () => {
    expect(await digestWith({ "cli/commands/build.ts": "2", "vm/machine/qemu.ts": "2" })).toBe(
      await digestWith({}),
    );
  });
});
