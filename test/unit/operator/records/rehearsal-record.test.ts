import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { definitionDigest } from "../../../../src/operator/definition/digest.ts";
import { noteTried, wasTried } from "../../../../src/operator/records/rehearsal-record.ts";
import { inputsOfDeploy, serverSpec } from "../../../helpers/builders/deployable.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

describe("a definition that was built", () => {
  it("is known by its digest, and no other one is", async () => {
    const env = { XDG_STATE_HOME: join(tempDir(), "state") };
    expect(await wasTried(env, "d1")).toBe(false);
    await noteTried(env, "d1");
    await noteTried(env, "d1");
    expect([await wasTried(env, "d1"), await wasTried(env, "d2")]).toEqual([true, false]);
  });

  it("is another one with another lock, another file or another group of a user", () => {
    const { lock } = inputsOfDeploy();
    const files = {
      files: new Map([["/etc/motd", { bytes: Buffer.from("x"), mode: 0o644 }]]),
      links: [],
    };
    const spec = serverSpec();
    const [admin, user] = Object.entries(spec.users)[0]!;
    const all = [
      definitionDigest(spec, lock, files),
      definitionDigest(spec, { ...lock, packages: lock.packages.slice(1) }, files),
      definitionDigest(spec, lock, { ...files, files: new Map() }),
      definitionDigest({ ...spec, users: { [admin]: { ...user, groups: ["none"] } } }, lock, files),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(definitionDigest(serverSpec(), lock, files)).toBe(all[0]);
  });

  it("is not noted where that cannot be written, which ends nothing", async () => {
    const env = { HOME: tempDir() };
    mkdirSync(join(env.HOME, ".local/state/imgbuild"), { recursive: true });
    writeFileSync(join(env.HOME, ".local/state/imgbuild/tried"), "a file");
    await noteTried(env, "d1");
    expect(await wasTried(env, "d1")).toBe(false);
  });
});
