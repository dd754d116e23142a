import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { noteTried, wasTried } from "../../src/operator/tried.ts";
import { tempDir } from "../helpers/temp-dir.ts";

describe("a definition that was built", () => {
  it("is known by its digest, and no other one is", async () => {
    const cache = join(tempDir(), "cache");
    expect(await wasTried(cache, "d1")).toBe(false);
    await noteTried(cache, "d1");
    await noteTried(cache, "d1");
    expect([await wasTried(cache, "d1"), await wasTried(cache, "d2")]).toEqual([true, false]);
  });

  it("is not noted where that cannot be written, which ends nothing", async () => {
    const cache = tempDir();
    mkdirSync(cache, { recursive: true });
    writeFileSync(join(cache, "tried"), "a file");
    await noteTried(cache, "d1");
    expect(await wasTried(cache, "d1")).toBe(false);
  });
});
