import { chmodSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { patchFiles } from "../../../../src/steps/tree/patch-files.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const diffOf = (path: string, from = "old") => `--- a${path}\n+++ b${path}\n@@ -1 +1 @@\n-${from}\n+new\n`;

function bench(files: Readonly<Record<string, string>> = {}) {
  const root = tempDir();
  const all = { "etc/app.conf": "old\n", "usr/lib/app/data": "old\n", ...files };
  for (const [path, content] of Object.entries(all)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  const one = stepBench({ root });
  const patch = async (...diffs: string[]) =>
    await patchFiles.run({ patches: diffs.map((diff, at) => ({ name: `p${at}.diff`, diff })) }, one.context);
  const read = (path: string) => readFileSync(join(root, path), "utf8");
  return { ...one, root, patch, read };
}
const info = "var/lib/dpkg/info";

describe("patch-files", () => {
  it("changes files in place, with owner and mode as they were", async () => {
    const { patch, read, root, said } = bench();
    chmodSync(join(root, "etc/app.conf"), 0o640);
    await patch(diffOf("/etc/app.conf"), diffOf("/usr/lib/app/data"));
    expect([read("etc/app.conf"), read("usr/lib/app/data"), said]).toEqual(["new\n", "new\n", []]);
    expect(lstatSync(join(root, "etc/app.conf")).mode & 0o777).toBe(0o640);
  });

  it.each([
    ["app", "/usr/lib/app/data"],
    ["app:amd64", "/lib/app/data"],
  ])("warns of a file of %s that an upgrade will replace, known as %s", async (name, path) => {
    const { patch, said } = bench({ [`${info}/${name}.list`]: `/.\n${path}\n` });
    await patch(diffOf("/usr/lib/app/data"));
    expect(said).toEqual([
      "warn /usr/lib/app/data is no conffile: an upgrade of app puts its own in the place of the patched one",
    ]);
  });

  it.each(["app", "app:amd64"])("says nothing of a conffile of %s", async (name) => {
    const { patch, said } = bench({
      [`${info}/${name}.list`]: "/etc/app.conf\n",
      [`${info}/${name}.conffiles`]: "/etc/other\n/etc/app.conf\n",
    });
    await patch(diffOf("/etc/app.conf"));
    expect(said).toEqual([]);
  });

  it("refuses what does not apply, and changes nothing of that file", async () => {
    const { patch, read, root } = bench();
    await expect(patch(diffOf("/etc/app.conf", "other"))).rejects.toMatchObject({
      message: expect.stringMatching(/^p0\.diff does not apply: \/etc\/app\.conf, hunk 1/),
      hint: expect.stringMatching(/make the patch anew/),
    });
    expect(read("etc/app.conf")).toBe("old\n");
    await expect(patch(diffOf("/etc/none"))).rejects.toMatchObject({
      message: "p0.diff does not apply: the tree has no /etc/none",
      hint: expect.stringMatching(/make the patch anew/),
    });
    symlinkSync("app.conf", join(root, "etc/link"));
    await expect(patch(diffOf("/etc/link"))).rejects.toMatchObject({
      message: "p0.diff does not apply: /etc/link is no regular file in the tree",
      hint: "patch the file where it really is",
    });
  });

  it("refuses a diff that cannot be read", async () => {
    await expect(bench().patch("rename from a\nrename to b\n")).rejects.toThrow(/^p0\.diff: /);
  });
});
