import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inOnePiece } from "../../../../src/system/files/one-piece.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const read = (directory: string) => readFileSync(join(directory, "content"), "utf8");
const writing = (content: string) => async (into: string) => writeFileSync(join(into, "content"), content);

describe("a directory made in one piece", () => {
  it("is made once, closed to others, below directories that need not be there", async () => {
    const directory = join(tempDir(), "cache/deep/entry");
    await inOnePiece(directory, writing("first"));
    await inOnePiece(directory, writing("second"));
    expect(read(directory)).toBe("first");
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(directory, ".."))).toEqual(["entry"]);
  });

  it("leaves nothing of a making that failed, and is made by the next", async () => {
    const directory = join(tempDir(), "entry");
    const failing = inOnePiece(directory, async (into) => {
      await writing("half")(into);
      throw new Error("as told");
    });
    await expect(failing).rejects.toThrow("as told");
    expect(readdirSync(join(directory, ".."))).toEqual([]);
    await inOnePiece(directory, writing("whole"));
    expect(read(directory)).toBe("whole");
  });

  it("stays what came first when two make it at once", async () => {
    const directory = join(tempDir(), "entry");
    await inOnePiece(directory, async (into) => {
      await inOnePiece(directory, writing("inner"));
      await writing("outer")(into);
    });
    expect(read(directory)).toBe("inner");
    expect(existsSync(directory)).toBe(true);
    expect(readdirSync(join(directory, ".."))).toEqual(["entry"]);
  });
});
