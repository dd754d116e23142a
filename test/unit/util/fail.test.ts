import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { asFail, during, Fail } from "../../../src/util/fail.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

describe("a refusal of the operating system", () => {
  it("becomes a failure with path, code and hint", () => {
    const dir = tempDir();
    writeFileSync(join(dir, "file"), "");
    expect(asFail(thrownBy(() => mkdirSync(join(dir, "file/below"))))).toMatchObject({
      message: `${dir}/file/below: a part of the path is not a directory (ENOTDIR)`,
      hint: expect.any(String),
      exitCode: 1,
    });
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    expect(asFail(full)).toMatchObject({ message: "no space is left (ENOSPC)", cause: full });
  });

  it("is told with what was done meanwhile, as every failure is", async () => {
    const full = Object.assign(new Error("write"), { code: "ENOSPC", path: "/x" });
    await expect(during("copying", () => Promise.reject(full))).rejects.toMatchObject({
      message: "copying: /x: no space is left (ENOSPC)",
      cause: full,
      hint: expect.stringMatching(/free some/),
    });
    const refused = new Fail("no", { hint: "yes", exitCode: 3 });
    await expect(during("asking", () => Promise.reject(refused))).rejects.toMatchObject({
      message: "asking: no",
      hint: "yes",
      exitCode: 3,
    });
  });
});

describe("a bug", () => {
  it("stays what it is: an absent file, a wrong type, a code that only looks like one", async () => {
    const bugs = [
      thrownBy(() => readFileSync("/nonexistent/file")),
      new TypeError("x is not a function"),
      Object.assign(new Error("odd"), { code: "constructor" }),
      "text",
      undefined,
    ];
    for (const bug of bugs) {
      expect(asFail(bug)).toBeUndefined();
      await expect(during("working", () => Promise.reject(bug))).rejects.toBe(bug);
    }
  });
});
