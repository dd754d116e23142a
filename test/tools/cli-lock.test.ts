import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseLock } from "../../src/debian/lock/lock.ts";
import { run } from "../../src/system/run/run.ts";
import { environment, expectFail, program } from "../helpers/labs/cli-lab.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const imgbuild = (...argv: string[]) =>
  run([program, ...argv], { env: environment, accept: [0, 1, 2, 3, 70], timeoutMs: 300_000 });

function definition(dir: string, install: readonly string[], more = ""): void {
  const text = `import { image } from "imgbuild";\n\nexport default image({\n  hostname: "small",\n  packages: { install: ${JSON.stringify(install)} },\n${more}});\n`;
  writeFileSync(join(dir, "IMGBUILD.ts"), text);
}

describe("imgbuild lock", () => {
  it("locks, says why a lock is stale, changes what it must, and is offline where it is asked to", async () => {
    const dir = tempDir();
    const file = join(dir, "imgbuild.lock.yaml");
    definition(dir, ["ca-certificates"]);
    expectFail(
      await imgbuild("lock", dir, "--check"),
      1,
      /imgbuild.lock.yaml does not exist/,
      /run `imgbuild lock /,
    );
    const first = await imgbuild("lock", dir);
    expect({ code: first.code, stdout: first.stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\S+imgbuild\.lock\.yaml: \d+ packages, \d+ MiB to fetch\n$/),
    });
    const before = readFileSync(file, "utf8");
    expect((await imgbuild("lock", dir, "--check")).stdout).toBe(`${file} fits the definition\n`);
    expect((await imgbuild("lock", dir)).stdout).toBe(
      `${file} fits the definition; --update takes newer versions\n`,
    );
    expect((await imgbuild("lock", dir, "--update")).stdout).toBe(`${file}: nothing newer\n`);
    expect((await imgbuild("lock", "--update", dir, "ca-certificates", "--offline")).stdout).toBe(
      `${file}: nothing newer\n`,
    );
    expect(readFileSync(file, "utf8")).toBe(before);

    writeFileSync(file, before.replace(/(sha256: "?)[0-9a-f]{8}/, "$10badc0de"));
    expectFail(
      await imgbuild("lock", dir, "--check"),
      1,
      /is not what the archive has signed:\n\s*\S+ \S+: another SHA-256 than in the signed index of trixie/,
      /restore it from version control, or run `imgbuild lock \S+ --update \S+`/,
    );
    writeFileSync(file, before);

    definition(dir, ["nano", "sudo"]);
    expectFail(
      await imgbuild("lock", dir, "--check"),
      1,
      /is stale: nano is asked for, sudo is asked for, ca-certificates is not asked for any more/,
    );
    expect(readFileSync(file, "utf8")).toBe(before);
    const changed = (await imgbuild("lock", dir, "--offline")).stdout.split("\n");
    expect(changed).toContainEqual(expect.stringMatching(/^\+ nano \d\S*$/));
    expect(changed).toContainEqual(expect.stringMatching(/^\+ sudo \d\S*( \(security\))?$/));
    expect(changed).toContainEqual(expect.stringMatching(/^- ca-certificates \d\S*$/));
    const lock = parseLock(readFileSync(file, "utf8"));
    expect(lock.request.install).toEqual(["nano", "sudo"]);
  });

  it("refuses indices that are older than those of the lock, unless they are asked for (F23)", async () => {
    const dir = tempDir();
    const file = join(dir, "imgbuild.lock.yaml");
    definition(dir, ["nano"]);
    await imgbuild("lock", dir, "--offline");
    writeFileSync(
      file,
      readFileSync(file, "utf8").replaceAll(/date: "?20\d\d-/g, (date) => `${date.slice(0, -5)}2099-`),
    );
    const before = readFileSync(file, "utf8");
    expect(before).toContain("2099-");
    const update = ["lock", dir, "--update", "--offline"];
    expectFail(
      await imgbuild(...update),
      1,
      /^error: InRelease of trixie\S*: is of 20\S+, but one of 2099-\S+ the lock was made from$/m,
      /--allow-older/,
    );
    expect(readFileSync(file, "utf8")).toBe(before);
    expect((await imgbuild(...update, "--allow-older")).code).toBe(0);
  });

  it("tells of what cannot be, as a chain", async () => {
    const dir = tempDir();
    definition(dir, ["exim4", "postfix"]);
    expectFail(
      await imgbuild("lock", dir),
      1,
      /error: postfix is asked for, but exim4-config conflicts with postfix \(exim4 needs exim4-base/,
      /exim4 and postfix cannot be had together/,
    );
    definition(dir, ["ngnix"]);
    expectFail(await imgbuild("lock", dir), 1, /there is no package ngnix in trixie/, /did you mean nginx\?/);
    definition(dir, ["mail-transport-agent"]);
    expectFail(
      await imgbuild("lock", dir),
      1,
      /mail-transport-agent is a virtual package/,
      /exim4-daemon-light/,
    );
  });

  it("refuses what it does not understand", async () => {
    const dir = tempDir();
    definition(dir, ["nano"]);
    expectFail(await imgbuild("lock", dir, "nano"), 2, /nano: packages are named with --update only/);
    await imgbuild("lock", dir);
    expectFail(await imgbuild("lock", dir, "--update", "nanoo"), 1, /there is no package nanoo to update/);
    const empty = { ...environment, IMGBUILD_CACHE: join(dir, "cache") };
    const ran = await run([program, "lock", dir, "--update", "--offline"], { env: empty, accept: [1] });
    expectFail(ran, 1, /the cache holds nothing of trixie/, /without --offline/);
  });
});

describe("imgbuild sbom", () => {
  it("writes both formats, of a lock that fits", async () => {
    const dir = tempDir();
    definition(dir, ["nano"]);
    expectFail(await imgbuild("sbom", dir), 1, /imgbuild.lock.yaml does not exist/);
    await imgbuild("lock", dir);
    const spdx = JSON.parse((await imgbuild("sbom", dir)).stdout) as {
      spdxVersion: string;
      packages: { name: string }[];
    };
    expect(spdx.spdxVersion).toBe("SPDX-2.3");
    expect(spdx.packages.map(({ name }) => name)).toContain("nano");
    const file = join(dir, "bom.json");
    expect((await imgbuild("sbom", dir, "--format", "cyclonedx", "-o", file)).stdout).toBe("");
    const bom = JSON.parse(readFileSync(file, "utf8")) as {
      specVersion: string;
      components: { name: string }[];
    };
    expect(bom.specVersion).toBe("1.6");
    expect(bom.components.map(({ name }) => name)).toContain("nano");
    expectFail(
      await imgbuild("sbom", dir, "--format", "xml"),
      2,
      /'xml' is invalid\. Allowed choices are spdx, cyclonedx\./,
    );
  });
});
