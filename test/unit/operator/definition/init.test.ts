import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { initDefinition } from "../../../../src/operator/definition/init.ts";
import { loadDefinition } from "../../../../src/operator/definition/load.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

describe("initDefinition", () => {
  it("writes a definition that loads once there is a key, and asks for one until then", async () => {
    const dir = join(tempDir(), "server");
    expect(await initDefinition(dir)).toEqual([join(dir, "IMGBUILD.ts"), join(dir, "authorized_keys")]);
    expect(readdirSync(dir).sort()).toEqual(["IMGBUILD.ts", "authorized_keys", "files"]);
    writeFileSync(join(dir, "authorized_keys"), "ssh-ed25519 AAAA me\n");
    const { spec, filesDir } = await loadDefinition(dir);
    expect(spec).toMatchObject({
      hostname: "server",
      users: { admin: { sudo: true, keys: ["ssh-ed25519 AAAA me"] } },
      boot: { firmware: ["uefi", "bios"] },
      storage: { disks: { system: { match: { serial: "CHANGE-ME" } } } },
    });
    expect(spec.packages.install).toContain("openssh-server");
    expect(filesDir).toBe(join(dir, "files"));
  });

  it("writes into an empty directory, and never beside anything", async () => {
    const dir = tempDir();
    await initDefinition(dir);
    const before = readFileSync(join(dir, "IMGBUILD.ts"), "utf8");
    writeFileSync(join(dir, "IMGBUILD.ts"), `${before}// mine\n`);
    await expect(initDefinition(dir)).rejects.toThrow(
      `${dir} is not empty: it holds IMGBUILD.ts, authorized_keys, files`,
    );
    expect(readFileSync(join(dir, "IMGBUILD.ts"), "utf8")).toContain("// mine");
    writeFileSync(join(dir, "file"), "");
    await expect(initDefinition(join(dir, "file"))).rejects.toMatchObject({ code: "EEXIST" });
    const other = tempDir();
    mkdirSync(join(other, ".git"));
    await expect(initDefinition(other)).rejects.toThrow(/it holds \.git$/);
  });
});
