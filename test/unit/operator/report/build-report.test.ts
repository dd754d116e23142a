import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { withBuildReport } from "../../../../src/operator/report/build-report.ts";
import { BuildReport } from "../../../../src/schema/report.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { locked, serverSpec } from "../../../helpers/builders/deployable.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const mib = 2 ** 20;
const begun = {
  spec: serverSpec(),
  lock: { packages: [locked("nginx"), locked("openssl", { archive: "debian-security" })] },
  definition: "5d1c",
  format: "raw",
  minimized: false,
  isDisk: true,
};

/** What a build of these files leaves in its report. */
async function reportOf(
  change: Partial<typeof begun>,
  build: Parameters<typeof withBuildReport>[3],
): Promise<{ readonly report: BuildReport; readonly page: string; readonly error: unknown }> {
  const dir = tempDir();
  const file = join(dir, "report.json");
  const error = await withBuildReport(file, { ...begun, ...change }, silentLog, build).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  const report = BuildReport.parse(JSON.parse(readFileSync(file, "utf8")));
  return { report, page: readFileSync(join(dir, "report.html"), "utf8"), error };
}

describe("the report of a build", () => {
  it("has the steps, the disks as they are laid out, the packages, and what was made with its SHA-256", async () => {
    const image = join(tempDir(), "web.raw");
    const { report, page, error } = await reportOf({}, async (log) => {
      await log.task("partitioning the image", async () => writeFileSync(image, "a disk"));
      return { files: [image] };
    });
    expect(error).toBeUndefined();
    expect(report).toMatchObject({
      ...{ outcome: "done", hostname: "web.example.org", definition: "5d1c", format: "raw" },
      packages: { count: 2, security: [{ name: "openssl", version: "1.0-1" }] },
      files: [{ path: image, sizeBytes: 6, sha256: sha256("a disk") }],
    });
    expect(report.seconds.steps).toMatchObject([{ doing: "partitioning the image", depth: 0, ok: true }]);
    expect(report.seconds.total).toBeGreaterThanOrEqual(report.seconds.steps[0]!.seconds);
    expect(report.disks).toMatchObject([
      {
        name: "system",
        partitions: [
          { name: "bios", sizeBytes: mib, holds: "bios-boot" },
          { name: "esp", sizeBytes: 256 * mib, holds: "vfat on /efi" },
          { name: "var", sizeBytes: 512 * mib, holds: "ext4 on /var" },
          { name: "root", holds: "ext4 on /" },
        ],
      },
    ]);
    expect(page).toContain("Done: web.example.org as raw</h1>");
  });

  it("says why a build failed, and where", async () => {
    const why = new Fail("configuring 3 packages: dpkg exited with 1", { hint: "look at its script" });
    const { report, page, error } = await reportOf({}, async (log) =>
      log.task("configuring 3 packages", () => Promise.reject(why)),
    );
    expect(error).toBe(why);
    expect(report).toMatchObject({ outcome: "failed", message: why.message, hint: why.hint, files: [] });
    expect(report.seconds.steps).toMatchObject([{ doing: "configuring 3 packages", ok: false }]);
    expect(page).toContain("Failed: nothing was made</h1>");
  });

  it("has no disks of a tree alone, and no digest of a directory", async () => {
    const made = join(tempDir(), "web");
    mkdirSync(made);
    const { report } = await reportOf({ isDisk: false, format: "dir" }, async () => ({ files: [made] }));
    expect(report).toMatchObject({ disks: [], files: [{ path: made }] });
    expect(report.files).toEqual([{ path: made }]);
  });

  it("leaves the failure as it is where the report cannot be written", async () => {
    const file = join(tempDir(), "absent", "report.json");
    const failing = () => Promise.reject(new Fail("no room"));
    await expect(withBuildReport(file, begun, silentLog, failing)).rejects.toThrow("no room");
    expect(existsSync(file)).toBe(false);
  });
});
