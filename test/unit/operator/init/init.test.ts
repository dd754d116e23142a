import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadDefinition } from "../../../../src/operator/definition/load.ts";
import { initRepository } from "../../../../src/operator/init/init.ts";
import { identityFiles } from "../../../../src/operator/secrets/secrets.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { adminKey } from "../../../helpers/builders/deployable.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

function outside(home = tempDir()) {
  return {
    env: { HOME: home },
    cache: join(home, "cache"),
    log: silentLog,
    signal: new AbortController().signal,
    interactive: false,
    askSecret: async () => {
      throw new Error("asked");
    },
  };
}

describe("initRepository", () => {
  it("writes a repository whose definition loads, and says with file and line what is still to be written", async () => {
    const dir = join(tempDir(), "web-1");
    const { files } = await initRepository(dir, {}, outside());
    expect(readdirSync(dir).sort()).toEqual(
      [
        ...[".gitignore", "IMGBUILD.test.ts", "IMGBUILD.ts", "Makefile", "README.md", "authorized_keys"],
        ...["files", "package.json", "secrets", "tsconfig.json"],
      ].sort(),
    );
    expect(files).toContain(join(dir, "secrets/recipients"));
    const { spec, unfinished, filesDir } = await loadDefinition(dir);
    expect(spec).toMatchObject({ hostname: "web-1", boot: { firmware: ["uefi", "bios"] } });
    expect(filesDir).toBe(join(dir, "files"));
    expect(unfinished).toEqual([
      expect.stringMatching(
        /IMGBUILD\.ts:\d+: storage\.disks\.system\.match\.serial: CHANGE-ME is still to be/,
      ),
      expect.stringMatching(/IMGBUILD\.ts:\d+: users\.admin\.keys: no user has an SSH key/),
    ]);
  });

  it("takes a name and the keys of a file, and refuses a file without any", async () => {
    const dir = tempDir();
    const key = join(tempDir(), "key.pub");
    writeFileSync(key, `${adminKey} me\n`);
    await initRepository(dir, { hostname: "mail", key }, outside());
    expect((await loadDefinition(dir)).spec).toMatchObject({
      hostname: "mail",
      users: { admin: { keys: [`${adminKey} me`] } },
    });
    writeFileSync(key, "no key\n");
    await expect(initRepository(tempDir(), { key }, outside())).rejects.toThrow(`${key} has no public key`);
  });

  it("makes an identity that only its user can read, once, and encrypts for it from then on", async () => {
    const world = outside();
    const [first, second] = [tempDir(), tempDir()];
    const { identity } = await initRepository(first, {}, world);
    expect(statSync(identity).mode & 0o777).toBe(0o600);
    expect(statSync(join(identity, "..")).mode & 0o777).toBe(0o700);
    const before = readFileSync(identity, "utf8");
    await initRepository(second, {}, world);
    expect(readFileSync(identity, "utf8")).toBe(before);
    const recipients = (dir: string) => readFileSync(join(dir, "secrets/recipients"), "utf8");
    expect(recipients(first)).toMatch(/^#.*\nage1[0-9a-z]+\n$/);
    expect(recipients(second)).toBe(recipients(first));
    expect(recipients(first)).not.toContain("AGE-SECRET-KEY");
    expect(identityFiles({}, world.env)).toEqual([identity]);
    expect(identityFiles({ identity: ["other"] }, world.env)).toEqual(["other"]);
    expect(identityFiles({}, { ...world.env, IMGBUILD_IDENTITY: "a:b" })).toEqual(["a", "b"]);
    expect(identityFiles({}, { HOME: tempDir() })).toEqual([]);
  });

  it("writes into an empty directory, never beside anything", async () => {
    const dir = tempDir();
    const world = outside();
    await initRepository(dir, {}, world);
    await expect(initRepository(dir, {}, world)).rejects.toThrow(
      `${dir} is not empty: it holds .gitignore, IMGBUILD.test.ts, IMGBUILD.ts`,
    );
    writeFileSync(join(dir, "file"), "");
    await expect(initRepository(join(dir, "file"), {}, world)).rejects.toThrow("is not a directory");
    const other = tempDir();
    mkdirSync(join(other, ".git"));
    await expect(initRepository(other, {}, world)).rejects.toThrow(/it holds \.git$/);
  });
});
