import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { initDefinition } from "../../../../src/operator/definition/init.ts";
import { loadDefinition } from "../../../../src/operator/definition/load.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

describe("a definition as `init` makes it", () => {
  it("loads, and says with file and line what is still to be written", async () => {
    const dir = join(tempDir(), "server");
    await initDefinition(dir);
    const definition = await loadDefinition(dir);
    expect(definition.unfinished).toEqual([
      expect.stringMatching(
        /IMGBUILD\.ts:\d+: storage\.disks\.system\.match\.serial: CHANGE-ME is still to be/,
      ),
      expect.stringMatching(/IMGBUILD\.ts:\d+: users\.admin\.keys: no user has an SSH key/),
    ]);
    writeFileSync(join(dir, "authorized_keys"), "ssh-ed25519 AAAA me\n");
    expect((await loadDefinition(dir)).unfinished).toHaveLength(1);
  });
});
