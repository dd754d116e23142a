import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { openLab } from "../../src/testing/index.ts";
import { environment, program } from "../helpers/labs/cli-lab.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const gib = 2 ** 30;
const buildMs = 3_600_000;
const definition = `import { biosBoot, disk, gpt, image, root } from "imgbuild";
export default image({
  hostname: "grows",
  packages: { install: ["apt", "dbus", "e2fsprogs", "initramfs-tools", "linux-image-cloud-amd64", "systemd-repart", "systemd-sysv", "udev", "zstd"] },
  storage: { disks: { system: disk({ match: { serial: "GROWS" }, imageSize: "3GiB", table: gpt(biosBoot(), root()) }) } },
  boot: { firmware: ["bios"] },
});
`;

describe("a minimized image", () => {
  it("grow: takes all of a larger disk when it starts, once, and says so in the journal", async () => {
    const dir = tempDir();
    const at = join(dir, "grows");
    mkdirSync(at);
    writeFileSync(join(at, "IMGBUILD.ts"), definition);
    const env = { ...environment, IMGBUILD_CACHE: cacheRoot(process.env) };
    await run([program, "lock", at], { env, timeoutMs: buildMs });
    const image = join(dir, "grows.raw");
    await run(["nice", "-n", "19", program, "build", at, "-o", image, "--minimize"], {
      env,
      timeoutMs: buildMs,
    });
    expect(statSync(image).size).toBeLessThan(gib / 2);
    const lab = await openLab();
    try {
      const machine = await lab.machine({
        name: "grows",
        firmware: "bios",
        disks: [{ image: { file: image, format: "raw" }, serial: "GROWS", sizeBytes: 2 * gib }],
      });
      await machine.boot();
      const sizes =
        "lsblk --bytes --noheadings --output SIZE /dev/vda2; findmnt --bytes --noheadings --output SIZE /";
      const [partition, filesystem] = (await machine.succeed(sizes)).trim().split("\n").map(Number);
      expect(partition).toBeGreaterThan(2 * gib - 8 * 2 ** 20);
      expect(filesystem).toBeGreaterThan(1.85 * gib);
      expect((await machine.succeed("systemctl is-active imgbuild-grow.service")).trim()).toBe("active");
      expect(await machine.succeed("journalctl --no-pager -b -u imgbuild-grow.service")).toMatch(
        /grow|resiz/i,
      );
      expect((await machine.succeed("systemctl --failed --no-legend --plain")).trim()).toBe("");
      // Nothing is left to be grown: it does nothing, and does not fail.
      const table = "sfdisk --dump /dev/vda 2>/dev/null || head -c 17408 /dev/vda | sha256sum";
      const before = await machine.succeed(table);
      await machine.succeed(
        "systemctl restart imgbuild-grow.service && systemctl is-active imgbuild-grow.service",
      );
      expect(await machine.succeed(table)).toBe(before);
    } finally {
      await lab.close();
    }
  });
});
