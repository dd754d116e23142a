import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { throwawaySigner } from "../../../../src/boot/efi/self-signed.ts";
import { signEfi } from "../../../../src/boot/efi/sign-efi.ts";
import { debianLoaders } from "../../../../src/boot/efi-files.ts";
import { loadersOf } from "../../../../src/operator/secure-boot/loaders.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { makeDeb } from "../../../helpers/builders/deb.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";
import { efiProgram } from "../../../helpers/builders/pe.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** A cache that has a package with a program, signed by a made-up authority. */
function packageWith(cache: string, name: string, path: string, sections: Readonly<Record<string, string>>) {
  const program = efiProgram(
    Object.fromEntries(Object.entries(sections).map(([part, text]) => [part, Buffer.from(text)])),
  );
  const signed = signEfi(program, throwawaySigner(`Authority of ${name}`), path);
  const { file, locked } = makeDeb(name, { data: [{ name: `.${path}`, content: signed }] });
  const bytes = readFileSync(file);
  mkdirSync(join(cache, "packages"), { recursive: true });
  writeFileSync(join(cache, "packages", `${sha256(bytes)}.deb`), bytes);
  return { ...locked, version: "1.0", size: bytes.length, sha256: sha256(bytes) };
}

const grub = "grub-efi-amd64-signed";
const spec = serverSpec({ boot: { loader: "grub", secureBoot: "debian" } });

/** A cache with both packages. */
function bothPackages() {
  const cache = tempDir();
  const options = { cache, env: {}, signal: AbortSignal.timeout(60_000), mirrors: {} };
  const packages = [
    packageWith(cache, "shim-signed", debianLoaders.shim, {
      ".sbat": "sbat,1,SBAT Version\nshim,4,UEFI shim\n",
      "/26": "sbat,1,2022052400\ngrub,2\n\0sbat,1,2025051000\nshim,4\ngrub,5\n\0",
    }),
    packageWith(cache, grub, debianLoaders.grub, { ".sbat": "sbat,1,SBAT Version\ngrub,5,GRUB\n" }),
  ];
  return { cache, options, packages };
}

describe("what a system with Debian's signatures starts by", () => {
  it("is read of the locked packages: who signed it, its generations, and what shim asks for", async () => {
    const { options, packages } = bothPackages();
    expect(await loadersOf({ spec, lock: { packages } }, options)).toEqual({
      shim: {
        from: "shim-signed 1.0",
        signedBy: ["Authority of shim-signed"],
        digest: expect.stringMatching(/^[0-9a-f]{64}$/),
        generations: new Map([
          ["sbat", 1],
          ["shim", 4],
        ]),
      },
      asks: new Map([
        ["sbat", 1],
        ["shim", 4],
        ["grub", 5],
      ]),
      next: expect.objectContaining({ from: `${grub} 1.0`, signedBy: [`Authority of ${grub}`] }),
    });
  });

  it("is not known where a package is not locked, cannot be had, or lacks the program", async () => {
    const { cache, options, packages } = bothPackages();
    const problemOf = async (some: typeof packages) =>
      await loadersOf({ spec, lock: { packages: some } }, options);
    expect(await problemOf(packages.slice(0, 1))).toEqual({ problem: `the lock has no ${grub}` });
    const absent = { ...packages[1]!, sha256: "0".repeat(64) };
    expect(await problemOf([packages[0]!, absent])).toEqual({ problem: expect.stringMatching(/grub/) });
    const other = packageWith(cache, grub, "/usr/lib/other.efi", { ".text": "x" });
    expect(await problemOf([packages[0]!, other])).toEqual({
      problem: `${grub} has no ${debianLoaders.grub}`,
    });
  });

  it("is nothing to ask for where others sign, or none", async () => {
    const { options, packages } = bothPackages();
    expect(await loadersOf({ spec: serverSpec(), lock: { packages } }, options)).toBeUndefined();
  });
});
