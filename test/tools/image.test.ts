import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildImage } from "../../src/operator/build/image.ts";
import { definitionDigest } from "../../src/operator/definition/digest.ts";
import { readFiles } from "../../src/operator/definition/files.ts";
import { makeLockFor, mirrorsFor } from "../../src/operator/lock/lock.ts";
import { Spec } from "../../src/schema/spec.ts";
import { chrootRun } from "../../src/system/door/chroot.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { silentLog } from "../../src/util/log.ts";
import { root } from "../helpers/builders/storage.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const options = {
  cache: cacheRoot(process.env),
  env: process.env,
  log: silentLog,
  signal: new AbortController().signal,
};

// No kernel: what makes a system boot is tested where it boots.
const spec = Spec.parse({
  hostname: "small",
  packages: { install: ["apt", "openssh-server", "sudo", "systemd-sysv"] },
  storage: { disks: { system: { match: { serial: "S" }, table: { type: "gpt", partitions: [root] } } } },
  users: { admin: { sudo: true, keys: ["ssh-ed25519 AAAA me"] } },
  files: { "/etc/motd": { content: "small\n" } },
  secrets: { token: { file: "token.age", path: "/etc/token" } },
});

describe("an image of a small definition, as a directory", () => {
  it("is a whole system, as locked, that carries no traces and nobody's identity", async () => {
    const dir = tempDir();
    mkdirSync(join(dir, "out"));
    mkdirSync(join(dir, "files/usr/local/bin"), { recursive: true });
    writeFileSync(join(dir, "files/usr/local/bin/tool"), "#!/bin/sh\necho tool\n", { mode: 0o755 });
    const lock = await makeLockFor(spec, options);
    const files = readFiles(join(dir, "files"));
    const output = join(dir, "out/small");
    await buildImage(
      {
        spec,
        lock,
        definition: definitionDigest(spec, lock, files),
        files,
        filesDir: join(dir, "files"),
        mirrors: await mirrorsFor(spec, process.env),
        secrets: undefined,
      },
      output,
      "dir",
      options,
    );

    expect(readdirSync(join(dir, "out"))).toEqual(["small"]);
    expect(readFileSync("/proc/self/mounts", "utf8")).not.toContain(dir);
    const inside = async (...argv: string[]) => (await chrootRun(output, argv)).stdout;
    const read = (path: string) => readFileSync(join(output, path), "utf8");

    expect(await inside("dpkg", "--audit")).toBe("");
    const format = ["Package", "Version", "db:Status-Abbrev"].map((field) => `\${${field}}`).join(" ");
    const installed = await inside("dpkg-query", "--show", "--showformat", `${format}\\n`);
    expect(
      installed
        .trim()
        .split("\n")
        .map((line) => line.trim())
        .sort(),
    ).toEqual(lock.packages.map(({ name, version }) => `${name} ${version} ii`).sort());
    // Conffiles are as packaged, so that upgrades do not ask.
    expect(await inside("sh", "-c", "dpkg --verify openssh-server sudo apt || true")).toBe("");

    const automatic = (await inside("apt-mark", "showauto")).trim().split("\n");
    expect(automatic.sort()).toEqual(
      lock.packages
        .filter(({ requested, bootstrap }) => !requested && !bootstrap)
        .map(({ name }) => name)
        .sort(),
    );
    const manual = (await inside("apt-mark", "showmanual")).split("\n");
    for (const name of spec.packages.install) expect(manual).toContain(name);
    const gone = await inside("sh", "-c", "apt-get --simulate autoremove | grep -c ^Remv || true");
    expect(gone.trim(), "nothing that is needed is marked as not").toBe("0");

    for (const path of [
      "usr/sbin/policy-rc.d",
      "etc/token",
      "var/lib/imgbuild",
      "var/cache/imgbuild-packages",
      "etc/passwd-",
    ])
      expect(existsSync(join(output, path)), path).toBe(false);
    expect(read("etc/machine-id")).toBe("");
    expect(readdirSync(join(output, "etc/ssh")).filter((name) => name.startsWith("ssh_host_"))).toEqual([]);
    for (const path of ["tmp", "run", "dev", "proc", "sys", "var/tmp"])
      expect(readdirSync(join(output, path)), path).toEqual([]);
    expect(
      readdirSync(join(output, "var/cache/apt/archives")).filter((name) => name.endsWith(".deb")),
    ).toEqual([]);

    expect(read("etc/hostname")).toBe("small\n");
    expect(read("etc/motd")).toBe("small\n");
    expect(read("etc/fstab")).toMatch(/^UUID=[0-9a-f-]{36} \/ ext4 errors=remount-ro 0 1\n$/);
    expect((await inside("/usr/local/bin/tool")).trim()).toBe("tool");
    expect(await inside("id", "admin")).toMatch(/^uid=1000\(admin\) gid=1000\(admin\)/);
    expect(await inside("visudo", "--check")).toContain("parsed OK");
    expect(await inside("systemctl", "is-enabled", "imgbuild-host-keys.service")).toBe("enabled\n");
  });
});
