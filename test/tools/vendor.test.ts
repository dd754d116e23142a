import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { parseLock } from "../../src/debian/lock/lock.ts";
import { BuildReport } from "../../src/schema/report.ts";
import { chrootRun } from "../../src/system/door/chroot.ts";
import { run } from "../../src/system/run/run.ts";
import { ownDefinition } from "../helpers/labs/cli-lab.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const program = resolve("bin/imgbuild");
describe("imgbuild vendor", () => {
  it("collects all that a build needs where there is neither a network nor a cache", async () => {
    const dir = tempDir();
    const path = ownDefinition(dir);
    const env = { ...(process.env as Record<string, string>) };
    const imgbuild = (argv: readonly string[], more: Record<string, string> = {}) =>
      run([program, ...argv], { env: { ...env, ...more }, timeoutMs: 900_000 });
    const vendored = join(dir, "vendored");
    expect((await imgbuild(["vendor", path, vendored])).stdout).toMatch(/: \d+ packages, \d+ MiB$/m);
    const lock = parseLock(readFileSync(join(path, "imgbuild.lock.yaml"), "utf8"));
    for (const one of lock.packages)
      expect(existsSync(join(vendored, one.archive, one.path)), one.name).toBe(true);

    const output = join(dir, "tree");
    const build = [program, "build", path, "--vendor", vendored, "--format", "dir", "-o", output];
    const report = join(dir, "report.json");
    const alone = { ...env, IMGBUILD_CACHE: join(dir, "cache"), PATH: env.PATH ?? "" };
    await run(["unshare", "--net", ...build, "--report", report], { env: alone, timeoutMs: 900_000 });
    const { outcome, files, packages, seconds } = BuildReport.parse(JSON.parse(readFileSync(report, "utf8")));
    expect({ outcome, files }).toEqual({ outcome: "done", files: [{ path: output }] });
    expect(packages.count).toBe(lock.packages.length);
    expect(seconds.steps[0]).toMatchObject({ doing: "making the base", depth: 0, ok: true });
    expect(readFileSync(join(dir, "report.html"), "utf8")).toContain("making the base");
    const installed = await chrootRun(output, ["dpkg-query", "--show", `--showformat=\${Package}\\n`]);
    expect(installed.stdout.trim().split("\n").sort()).toEqual(lock.packages.map(({ name }) => name).sort());
    // What the machine's apt will ask is no directory of the operator's.
    expect(readFileSync(join(output, "etc/apt/sources.list.d/debian.sources"), "utf8")).not.toContain(
      "file:",
    );
  });
});
