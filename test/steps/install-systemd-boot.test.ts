import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { debianLoaders } from "../../src/boot/packages.ts";
import { installSystemdBoot } from "../../src/steps/install-systemd-boot.ts";
import type { StepContext } from "../../src/steps/step.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const version = "6.1-x";
const hash = "ab".repeat(32);

/** A tree with one kernel; the program that makes unified images gives back the command line that it was told. */
function place() {
  const dir = tempDir();
  const root = join(dir, "tree");
  const put = (path: string, content: string) => {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  };
  for (const path of [`/boot/vmlinuz-${version}`, `/boot/initrd.img-${version}`, debianLoaders.systemdBoot])
    put(`tree${path}`, path);
  put("tree/etc/kernel/cmdline", "of the tree\n");
  put("tree/var/tmp/other", "");
  put("root-hash", `${hash}\n`);
  const run = async (more: Partial<z.input<typeof installSystemdBoot.schema>>) => {
    const chroot = async (argv: readonly string[]) => {
      const after = (name: string) => argv[argv.indexOf(name) + 1]!;
      writeFileSync(join(root, after("--output")), readFileSync(join(root, after("--cmdline"))));
      return { code: 0, stdout: "", stderr: "" };
    };
    const about = { esp: join(dir, "esp"), cmdline: ["root=x", "ro"], title: "t", timeoutSeconds: 1 };
    await installSystemdBoot.run!(installSystemdBoot.schema.parse({ ...about, ...more }), {
      root,
      chroot,
      secrets: new Map(),
    } as unknown as StepContext);
  };
  return { dir, root, put, run };
}

const entry = `loader/entries/debian-${version}.conf`;
const uki = `EFI/Linux/debian-${version}.efi`;

describe("install-systemd-boot", () => {
  it("puts all on the ESP where there is no other place", async () => {
    const { dir, run } = place();
    await run({});
    const at = (path: string) => existsSync(join(dir, "esp", path));
    expect([entry, `debian/${version}/linux`, "loader/entries.srel", "EFI/BOOT/BOOTX64.EFI"].map(at)).toEqual(
      Array(4).fill(true),
    );
  });

  it.each([
    ["bls", [entry, `debian/${version}/linux`, `debian/${version}/initrd.img-${version}`]],
    ["uki", [uki]],
  ] as const)(
    "puts kernels of %s on an extended boot loader partition, and the loader on the ESP",
    async (layout, kernels) => {
      const { dir, run } = place();
      await run({ layout, kernels: join(dir, "xb") });
      for (const path of [...kernels, "loader/entries.srel"])
        expect(existsSync(join(dir, "xb", path)), path).toBe(true);
      const on = readdirSync(join(dir, "esp"), { recursive: true, encoding: "utf8" }).sort();
      expect(on.filter((path) => /\.(efi|EFI|conf|srel)$/.test(path))).toEqual([
        "EFI/BOOT/BOOTX64.EFI",
        "EFI/systemd/systemd-bootx64.efi",
        "loader/loader.conf",
      ]);
    },
  );

  it("writes the root hash behind the command line, in an entry and in a unified image, and leaves the tree as it was", async () => {
    const { dir, root, run } = place();
    const rootHash = join(dir, "root-hash");
    await run({ rootHash });
    expect(readFileSync(join(dir, "esp", entry), "utf8")).toContain(
      `options    root=x ro roothash=${hash}\n`,
    );
    await run({ rootHash, layout: "uki" });
    expect(readFileSync(join(dir, "esp", uki), "utf8")).toBe(`root=x ro roothash=${hash}\n`);
    expect(readdirSync(join(root, "var/tmp"))).toEqual(["other"]);
    await run({ layout: "uki" });
    expect(readFileSync(join(dir, "esp", uki), "utf8")).toBe("of the tree\n");
  });

  it("refuses a file that holds no root hash", async () => {
    const { dir, put, run } = place();
    put("root-hash", "abc\n");
    await expect(run({ rootHash: join(dir, "root-hash") })).rejects.toThrow("holds no root hash");
  });
});
