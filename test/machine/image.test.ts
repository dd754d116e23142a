import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDefinition } from "../../src/operator/lock/open-definition.ts";
import { revealSecrets } from "../../src/operator/secrets/secrets.ts";
import { type TestImage, testImage } from "../../src/operator/test/test-image.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { silentLog } from "../../src/util/log.ts";
import { booted } from "../helpers/labs/booted.ts";
import { fetchPage } from "../helpers/labs/page.ts";

const options = {
  cache: cacheRoot(process.env),
  env: process.env,
  log: silentLog,
  signal: new AbortController().signal,
};

interface Table {
  readonly label: string;
  /** In sectors of 512 bytes. */
  readonly partitions: readonly { readonly name: string; readonly start: number; readonly size: number }[];
}

describe("the image of imgbuild/web", () => {
  let directory: string;
  let image: TestImage;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "imgbuild-image-"));
    const definition = await openDefinition("imgbuild/web");
    const secrets = await revealSecrets(definition, { identityFiles: ["secrets/demo-identity.txt"] });
    image = await testImage(definition, options, { secrets, directory });
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it("has a sound partition table and sound filesystems", async () => {
    const table = await run(["sfdisk", "--json", image.system.file]);
    const { partitions, label } = (JSON.parse(table.stdout) as { partitiontable: Table }).partitiontable;
    expect(label).toBe("gpt");
    expect(partitions.map(({ name }) => name)).toEqual(["bios", "esp", "root"]);
    await run(["sfdisk", "--verify", image.system.file]);
    for (const [name, check] of [
      ["esp", ["fsck.vfat", "-n"]],
      ["root", ["e2fsck", "-fn"]],
    ] as const) {
      const { start, size } = partitions.find((one) => one.name === name)!;
      const alone = join(directory, `${name}.part`);
      const where = [`skip=${start / 2048}`, `count=${size / 2048}`];
      await run(["dd", `if=${image.system.file}`, `of=${alone}`, "bs=1M", "conv=sparse", ...where]);
      const { stdout, stderr } = await run([...check, alone]);
      expect(stdout + stderr).not.toMatch(/warning|error/i);
      await rm(alone);
    }
  });

  for (const firmware of ["bios", "uefi"] as const)
    it(`boots under ${firmware}, passes its checks and serves its page to who knows the secret`, () =>
      booted(image, firmware, options, async (machine) => {
        const efi = await machine.succeed("test -d /sys/firmware/efi && echo uefi || echo bios");
        expect(efi).toBe(firmware);
        expect(await machine.succeed("cat /proc/swaps")).toContain("/swapfile");
        expect(await machine.succeed("apt-get update", { withinSeconds: 60 })).toContain("trixie-security");
        const port = await machine.forward(80);
        expect((await fetchPage(port, "user", "demo")).status).toBe(200);
        expect((await fetchPage(port, "user", "wrong")).status).toBe(401);
      }));
});
