import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { noteTried, wasTried } from "../../src/operator/tried.ts";
import { tempDir } from "../helpers/temp-dir.ts";

describe("a definition that was built", () => {
  it("is known by its digest, and no other one is", async () => {
    const env = { XDG_STATE_HOME: join(tempDir(), "state") };
    expect(await wasTried(env, "d1")).toBe(false);
    await noteTried(env, "d1");
    await noteTried(env, "d1");
    expect([await wasTried(env, "d1"), await wasTried(env, "d2")]).toEqual([true, false]);
  });

  it("is not noted where that cannot be written, which ends nothing", async () => {
    const env = { HOME: tempDir() };
    mkdirSync(join(env.HOME, ".local/state/imgbuild"), { recursive: true });
    writeFileSync(join(env.HOME, ".local/state/imgbuild/tried"), "a file");
    await noteTried(env, "d1");
    expect(await wasTried(env, "d1")).toBe(false);
  });
});
