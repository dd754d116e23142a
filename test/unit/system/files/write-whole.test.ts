import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { writeWhole } from "../../../../src/system/files/write-whole.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

describe("a file written whole", () => {
  it("holds what was written last, text or bytes, and nothing lies beside it", async () => {
    const dir = tempDir();
    await writeWhole(join(dir, "note"), "a first one that is longer");
    await writeWhole(join(dir, "note"), Buffer.from([0, 255]));
    expect(readFileSync(join(dir, "note"))).toEqual(Buffer.from([0, 255]));
    expect(readdirSync(dir)).toEqual(["note"]);
  });

  it("has the mode that is asked for, also in the place of one that others could read, and else the usual one", async () => {
    const dir = tempDir();
    const modeOf = (name: string) => statSync(join(dir, name)).mode & 0o777;
    writeFileSync(join(dir, "usual"), "", { mode: 0o666 });
    writeFileSync(join(dir, "closed"), "", { mode: 0o644 });
    await writeWhole(join(dir, "closed"), "for us", 0o600);
    await writeWhole(join(dir, "new"), "for all");
    expect(modeOf("closed")).toBe(0o600);
    expect(modeOf("new")).toBe(modeOf("usual"));
  });

  it("is another file than the one before, which who has opened it goes on reading", async () => {
    const file = join(tempDir(), "note");
    await writeWhole(file, "old");
    const before = statSync(file).ino;
    await writeWhole(file, "new");
    expect(statSync(file).ino).not.toBe(before);
  });

  it("is the old one where its place cannot be taken or its content not be written, and nothing lies beside it", async () => {
    const dir = tempDir();
    mkdirSync(join(dir, "taken/by"), { recursive: true });
    await expect(writeWhole(join(dir, "taken"), "new")).rejects.toThrow(/EISDIR/);
    expect(readdirSync(join(dir, "taken"))).toEqual(["by"]);
    writeFileSync(join(dir, "note"), "old");
    const unwritable = { length: 1 } as unknown as Uint8Array;
    await expect(writeWhole(join(dir, "note"), unwritable)).rejects.toThrow(TypeError);
    expect(readFileSync(join(dir, "note"), "utf8")).toBe("old");
    expect(readdirSync(dir).sort()).toEqual(["note", "taken"]);
    await expect(writeWhole(join(dir, "none/note"), "new")).rejects.toThrow(/ENOENT/);
  });

  it("is one of those that are written at once, and whole", async () => {
    const dir = tempDir();
    const contents = ["a", "b", "c", "d"].map((letter) => letter.repeat(200_000));
    await Promise.all(contents.map((content) => writeWhole(join(dir, "note"), content)));
    expect(contents).toContain(readFileSync(join(dir, "note"), "utf8"));
    expect(readdirSync(dir)).toEqual(["note"]);
  });
});
