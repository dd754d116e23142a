import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loginTo, makeTestImage, startTestImage, type TestImage } from "../../src/operator/boot-image.ts";
import { loadDefinition } from "../../src/operator/load.ts";
import { revealSecrets } from "../../src/operator/secrets.ts";
import { defaultChecks } from "../../src/operator/test-checks.ts";
import { cacheRoot } from "../../src/system/cache.ts";
import { run } from "../../src/system/run.ts";
import { silentLog } from "../../src/util/log.ts";
import { fetchPage } from "../helpers/page.ts";

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
    const definition = await loadDefinition("imgbuild/web");
    const secrets = await revealSecrets(definition, { identityFiles: ["secrets/demo-identity.txt"] });
    image = await makeTestImage(definition, directory, secrets, options);
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it("has a sound partition table and sound filesystems", async () => {
    const table = await run(["sfdisk", "--json", image.file]);
    const { partitions, label } = (JSON.parse(table.stdout) as { partitiontable: Table }).partitiontable;
    expect(label).toBe("gpt");
    expect(partitions.map(({ name }) => name)).toEqual(["bios", "esp", "root"]);
    await run(["sfdisk", "--verify", image.file]);
    for (const [name, check] of [
      ["esp", ["fsck.vfat", "-n"]],
      ["root", ["e2fsck", "-fn"]],
    ] as const) {
      const { start, size } = partitions.find((one) => one.name === name)!;
      const alone = join(directory, `${name}.part`);
      const where = [`skip=${start / 2048}`, `count=${size / 2048}`];
      await run(["dd", `if=${image.file}`, `of=${alone}`, "bs=1M", "conv=sparse", ...where]);
      const { stdout, stderr } = await run([...check, alone]);
      expect(stdout + stderr).not.toMatch(/warning|error/i);
      await rm(alone);
    }
  });

  for (const firmware of ["bios", "uefi"] as const)
    it(`boots under ${firmware}, passes its checks and serves its page to who knows the secret`, async () => {
      const lock = join(tmpdir(), "imgbuild-vm.lock");
      const machine = await startTestImage(image, firmware, { ...options, forwards: [80], lock });
      try {
        const host = await loginTo(image, machine, options);
        const results = await defaultChecks(image.spec, host, { ...options, slow: machine.scale });
        expect(results.filter(({ ok }) => !ok)).toEqual([]);
        expect(results.length).toBeGreaterThan(image.spec.health.length);
        const efi = await host.exec(["sh", "-c", "test -d /sys/firmware/efi && echo uefi || echo bios"]);
        expect(efi.stdout.trim()).toBe(firmware);
        const swaps = await host.exec(["cat", "/proc/swaps"]);
        expect(swaps.stdout).toContain("/swapfile");
        const apt = await host.exec(["apt-get", "update"], { root: true, timeoutMs: 300_000 });
        expect(apt.stdout).toContain("trixie-security");
        host.close();
        expect((await fetchPage(machine.port(80), "user", "demo")).status).toBe(200);
        expect((await fetchPage(machine.port(80), "user", "wrong")).status).toBe(401);
      } finally {
        await machine.stop();
      }
    });
});
