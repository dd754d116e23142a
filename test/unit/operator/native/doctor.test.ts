import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { missing, needs, remedy } from "../../../../src/operator/native/doctor.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

describe("doctor", () => {
  it("finds programs in any directory of the path, and only those that are asked for", async () => {
    const [one, two] = [tempDir(), tempDir()];
    const build = needs.filter(({ use }) => use === "build");
    for (const [index, need] of build.entries())
      writeFileSync(join(index === 0 ? one : two, need.what), "", { mode: 0o755 });
    expect(await missing(["build"], [one, two])).toEqual([]);
    expect(await missing(["build"], [one])).toEqual(build.slice(1));
    expect(await missing([], [])).toEqual([]);
  });

  it("looks for a file where it is, whatever the path", async () => {
    const files = needs.filter(({ what }) => what.startsWith("/"));
    expect(files.length).toBeGreaterThan(0);
    const uses = [...new Set(files.map(({ use }) => use))];
    const lacking = await missing(uses, [tempDir()]);
    for (const file of files) expect(lacking.includes(file), file.what).toBe(!existsSync(file.what));
  });

  it("gives one command that brings all, each package once", () => {
    const need = (name: string) => ({ what: name, package: name, use: "build" as const });
    expect(remedy([need("tar"), need("dash"), need("tar")])).toEqual([
      ...["apt-get", "install", "--yes", "--no-install-recommends"],
      ...["dash", "tar"],
    ]);
  });
});
