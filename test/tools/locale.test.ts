import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { run } from "../../src/system/run/run.ts";
import { environment, expectFail, program } from "../helpers/labs/cli-lab.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const imgbuild = (...argv: string[]) =>
  run([program, ...argv], { env: environment, accept: [0, 1, 70], timeoutMs: 900_000 });

it("a declared locale is made, and one that there is not is refused with its line", async () => {
  const dir = tempDir();
  const build = async (locale: string) => {
    const text = `import { image } from "imgbuild";\n\nexport default image({\n  hostname: "small",\n  packages: { install: ["apt", "locales"] },\n  locale: "${locale}",\n});\n`;
    writeFileSync(join(dir, "IMGBUILD.ts"), text);
    await imgbuild("lock", dir);
    return await imgbuild("build", dir, "--format", "dir", "-o", join(dir, "tree"));
  };
  expectFail(
    await build("en_XX.UTF-8"),
    1,
    /IMGBUILD\.ts:6: locale: en_XX\.UTF-8 is no locale of the package/,
  );
  expect((await build("de_DE.UTF-8")).code).toBe(0);
  const { stdout } = await run(["chroot", join(dir, "tree"), "locale", "-a"]);
  expect(stdout.split("\n")).toContain("de_DE.utf8");
});
