import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type HookOptions, kernelHooks, loaderHooks } from "../../../src/boot/kernel-hooks.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const every: HookOptions[] = (["bls", "uki"] as const).flatMap((layout) => [
  { layout },
  { layout, kernelsApart: true },
  { layout, signing: { keyPath: undefined } },
  { layout, signing: { keyPath: "/etc/k e'y" } },
]);

/** Runs a hook as kernel-install(8) would. */
function install(options: HookOptions, path: string, args: readonly string[], dir: string) {
  const hook = kernelHooks(options).find((one) => one.path === path)!;
  const file = join(dir, "hook");
  writeFileSync(file, hook.content);
  chmodSync(file, 0o755);
  return spawnSync(file, args, {
    encoding: "utf8",
    env: {
      PATH: "/usr/bin:/bin",
      KERNEL_INSTALL_LAYOUT: options.layout,
      KERNEL_INSTALL_BOOT_ROOT: join(dir, "boot"),
      KERNEL_INSTALL_ENTRY_TOKEN: "debian",
      KERNEL_INSTALL_STAGING_AREA: join(dir, "staging"),
    },
  });
}

function place(): string {
  const dir = tempDir();
  for (const name of ["boot", "staging"]) mkdirSync(join(dir, name));
  writeFileSync(join(dir, "kernel"), "k");
  return dir;
}

const plugin = "/etc/kernel/install.d/89-imgbuild.install";
const args = (dir: string) => ["add", "6.1-x", join(dir, "boot/debian/6.1-x"), join(dir, "kernel")];

describe("the hooks for kernel updates", () => {
  it("are scripts that a POSIX shell understands", () => {
    const hooks = [...every.flatMap(kernelHooks), ...loaderHooks([["/a", "EFI/b"]])];
    const scripts = hooks.filter(({ content }) => content.startsWith("#!/bin/sh"));
    expect(scripts.length).toBeGreaterThan(8);
    for (const { path, content, mode } of scripts) {
      expect(spawnSync("sh", ["-n"], { input: content, encoding: "utf8" }).stderr, path).toBe("");
      expect(mode).toBe("0755");
    }
  });

  it("let a kernel in whose initramfs is there, given or staged, and skip one that has none", () => {
    const dir = place();
    const without = install({ layout: "bls" }, plugin, args(dir), dir);
    expect([without.status, without.stderr]).toEqual([
      77,
      "imgbuild: 6.1-x has no initramfs yet and is not entered in the boot menu\n",
    ]);
    writeFileSync(join(dir, "given"), "i");
    expect(install({ layout: "bls" }, plugin, [...args(dir), join(dir, "given")], dir).status).toBe(0);
    writeFileSync(join(dir, "staging/initrd.img-6.1-x"), "i");
    expect(install({ layout: "bls" }, plugin, args(dir), dir).status).toBe(0);
  });

  it.each(["bls", "uki"] as const)("put no kernel of %s where its partition is not mounted", (layout) => {
    const dir = place();
    writeFileSync(join(dir, "staging/initrd.img-6.1-x"), "i");
    const there = install({ layout, kernelsApart: true }, plugin, args(dir), dir);
    expect([there.status, there.stderr]).toEqual([
      1,
      expect.stringContaining("boot is not mounted, so 6.1-x is not"),
    ]);
    mkdirSync(join(dir, "boot/loader"));
    writeFileSync(join(dir, "boot/loader/entries.srel"), "type1\n");
    const mounted = install({ layout, kernelsApart: true }, plugin, args(dir), dir);
    expect(mounted.stderr).not.toContain("is not mounted");
  });

  it("refuse a kernel for which there is no room, and say what to do, before a byte is written", () => {
    const dir = place();
    writeFileSync(join(dir, "staging/initrd.img-6.1-x"), "");
    truncateSync(join(dir, "staging/initrd.img-6.1-x"), 2 ** 43);
    const full = install({ layout: "bls" }, plugin, args(dir), dir);
    expect(full.status).toBe(1);
    expect(full.stderr).toMatch(
      /boot has \d+ bytes left and 6\.1-x takes 8796093022209; remove an old kernel and run/,
    );
    expect(existsSync(join(dir, "boot/debian"))).toBe(false);
  });

  it("sign nothing where the key is not, and say so", () => {
    const dir = place();
    for (const keyPath of [undefined, join(dir, "gone")]) {
      const hooks = { layout: "uki", signing: { keyPath } } as const;
      const check = install(hooks, "/usr/lib/imgbuild/sign-efi", ["--check", "6.1-x"], dir);
      expect(check.status).toBe(1);
      expect(check.stderr).toContain(
        "6.1-x is not signed, as this machine does not hold the Secure Boot key",
      );
    }
    writeFileSync(join(dir, "it's"), "");
    const there = { layout: "uki", signing: { keyPath: join(dir, "it's") } } as const;
    expect(install(there, "/usr/lib/imgbuild/sign-efi", ["--check", "6.1-x"], dir).status).toBe(0);
  });

  it("leave the removal of a kernel to kernel-install", () => {
    const dir = place();
    expect(install({ layout: "bls" }, plugin, ["remove", "6.1-x", join(dir, "x")], dir).status).toBe(0);
  });
});
