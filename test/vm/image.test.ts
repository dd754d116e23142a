import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loginTo, makeTestImage, startTestImage, type TestImage } from "../../src/operator/boot-image.ts";
import { loadDefinition } from "../../src/operator/load.ts";
import { revealSecrets } from "../../src/operator/secrets.ts";
import { defaultChecks } from "../../src/operator/test-checks.ts";
import { cacheRoot } from "../../src/system/cache.ts";
import { silentLog } from "../../src/util/log.ts";
import { fetchPage } from "../helpers/page.ts";

const options = {
  cache: cacheRoot(process.env),
  env: process.env,
  log: silentLog,
  signal: new AbortController().signal,
};

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
