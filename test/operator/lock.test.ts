import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Definition } from "../../src/operator/load.ts";
import {
  lockPath,
  mirrorsFor,
  readLockFor,
  withImpliedPackages,
  writeLock,
} from "../../src/operator/lock.ts";
import type { SpecInput } from "../../src/schema/spec.ts";
import { lockOf, serverSpec } from "../helpers/deployable.ts";
import { tempDir } from "../helpers/temp-dir.ts";

function definition(change: Partial<SpecInput> = {}): Definition {
  const dir = tempDir();
  return { spec: serverSpec(change), dir, file: join(dir, "IMGBUILD.ts") };
}

describe("withImpliedPackages", () => {
  it("adds what the bootloader needs, once and sorted, and nothing else", () => {
    const spec = serverSpec({ packages: { install: ["zstd", "systemd-boot"] } });
    const implied = withImpliedPackages(spec);
    expect(implied.packages.install).toEqual(["systemd-boot", "systemd-boot-efi", "zstd"]);
    expect({ ...implied, packages: spec.packages }).toEqual(spec);
    const bare = serverSpec({ boot: undefined, packages: { install: ["b", "a"].map((one) => `${one}x`) } });
    expect(withImpliedPackages(bare).packages.install).toEqual(["ax", "bx"]);
  });
});

describe("a definition's lock", () => {
  it("is read as it was written, and fits", async () => {
    const made = definition();
    const lock = lockOf(withImpliedPackages(made.spec));
    await writeLock(lockPath(made), lock);
    expect(await readLockFor(made)).toEqual({ lock, fresh: true, stale: [] });
    expect(readdirSync(made.dir)).toEqual(["imgbuild.lock.yaml"]);
    expect(readFileSync(lockPath(made), "utf8")).toMatch(/^# Exact packages/);
  });

  it("does not fit when other packages are asked for, but when only files or users change it does", async () => {
    const made = definition();
    await writeLock(lockPath(made), lockOf(withImpliedPackages(made.spec)));
    const changed = (change: Partial<SpecInput>) => ({ ...made, spec: serverSpec(change) });
    const more = changed({ packages: { install: ["nginx"] } });
    await expect(readLockFor(more)).rejects.toThrow(
      /is stale: nginx is asked for, openssh-server is not asked for any more$/,
    );
    expect(await readLockFor(more, { stale: "accept" })).toMatchObject({ fresh: false });
    await expect(readLockFor(changed({ boot: { firmware: ["bios"] } }))).rejects.toThrow(/is stale/);
    expect(await readLockFor(changed({ hostname: "mail", users: {} }))).toMatchObject({ fresh: true });
  });

  it("is asked for when it is not there, and refused with its name when it is damaged", async () => {
    const made = definition();
    await expect(readLockFor(made)).rejects.toMatchObject({
      message: `${lockPath(made)} does not exist`,
      hint: `run \`imgbuild lock ${made.dir}\``,
    });
    for (const text of ["{", "version: 1\n", "version: 3\n", "packages: []\n"]) {
      writeFileSync(lockPath(made), text);
      await expect(readLockFor(made)).rejects.toThrow(`reading ${lockPath(made)}: `);
    }
  });
});

describe("mirrorsFor", () => {
  it("takes the definition's mirror before the environment's", async () => {
    const env = { IMGBUILD_MIRROR: "http://env.example.org/debian" };
    const spec = serverSpec({ system: { mirror: "http://def.example.org/debian" } });
    expect((await mirrorsFor(spec, env)).debian[0]).toMatch(/^http:\/\/def\.example\.org\/debian\/?$/);
    expect((await mirrorsFor(serverSpec(), env)).debian[0]).toMatch(
      /^http:\/\/env\.example\.org\/debian\/?$/,
    );
  });
});
