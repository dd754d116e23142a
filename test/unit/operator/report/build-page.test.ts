import { describe, expect, it } from "vitest";
import { buildPage } from "../../../../src/operator/report/build-page.ts";
import type { BuildReport } from "../../../../src/schema/report.ts";
import { buildSaying, sampleBuilds } from "../../../helpers/builders/sample-reports.ts";
import { expectSound, tagsOf, textOf } from "../../../helpers/checks/pages.ts";

describe("the page of a build", () => {
  it.each(Object.entries(sampleBuilds))("is sound and holds every fact of the report: %s", (_, report) => {
    const page = buildPage(report);
    expectSound(page);
    const { message = "", hint = "", minimized, packages, ...rest }: BuildReport = report;
    const words = [
      ...[rest.hostname, rest.definition, rest.format, message, hint, "2026-11-29 01:02:03 UTC"],
      `${packages.count}, of them ${packages.security.length} from Debian's security archive`,
      ...packages.security.flatMap(({ name, version }) => [name, version]),
      ...rest.seconds.steps.map(({ doing }) => doing),
      ...rest.disks.flatMap(({ name, partitions }) => [
        name,
        ...partitions.flatMap((one) => [one.name, one.holds]),
      ]),
      ...rest.files.flatMap(({ path, sha256 = "" }) => [path, sha256]),
      ...(minimized ? ["as small as its files allow"] : []),
    ];
    for (const word of words) expect(textOf(page)).toContain(word.replaceAll(/\s+/g, " ").trim());
  });

  it("says first what came of it", () => {
    const first = (page: string) => textOf(/<h1>.*<\/h1>/.exec(page)![0]).trim();
    expect(first(buildPage(sampleBuilds.done))).toBe("✓ Done: web.example.org as raw");
    expect(first(buildPage(sampleBuilds.failed))).toBe("✗ Failed: nothing was made");
  });

  it("shows times and sizes in units, and marks the step in which it ended", () => {
    const text = textOf(buildPage(sampleBuilds.done));
    for (const words of ["Took 1 min 36 s", "8.0 GiB", "1.5 GiB", "writing out/web.raw 32 s"])
      expect(text).toContain(words);
    expect(text).not.toContain("ended here");
    expect(textOf(buildPage(sampleBuilds.failed))).toMatch(/configuring 312 packages \(ended here\)/);
    expect(textOf(buildPage(sampleBuilds.directory))).toContain("out/web a directory");
  });

  it("takes all that others say as text", () => {
    const hostile = `<script>alert(1)</script>"'\`&amp;<img src=x onerror=y>`;
    const page = buildPage(buildSaying(hostile));
    expect(tagsOf(page)).toEqual(tagsOf(buildPage(buildSaying("harmless"))));
    expect(textOf(page)).toContain(hostile);
  });
});
