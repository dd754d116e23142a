import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { requireParent } from "../../../../src/system/files/parent.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

describe("requireParent", () => {
  it("wants a directory to write into, and makes none", async () => {
    const dir = tempDir();
    await requireParent(join(dir, "x.raw"));
    await expect(requireParent(join(dir, "no/x.raw"))).rejects.toMatchObject({
      message: `${dir}/no/x.raw: there is no directory ${dir}/no`,
      hint: `mkdir -p ${dir}/no`,
    });
    writeFileSync(join(dir, "file"), "");
    await expect(requireParent(join(dir, "file/x"))).rejects.toThrow(/file is not a directory$/);
  });
});
