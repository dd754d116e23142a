import type { Spec } from "../schema/spec.ts";
import { onlyArchitecture } from "../tables/architecture.ts";
import { debianLoaders, grubCopies, shimCopies, stubPath } from "./efi-files.ts";
import { type BootFile, certificatePath, kernelHooks, loaderHooks } from "./kernel-hooks.ts";
import { kernelInstallFiles, kernelsMount } from "./loader.ts";
import { makeUkiPath } from "./make-uki.ts";

/** Everything of a tree, beside kernels and initramfs, that may become content of an ESP; relative. */
export const loaderInputs: readonly string[] = [
  ...Object.values(debianLoaders),
  `${debianLoaders.systemdBoot}.signed`,
  stubPath,
  makeUkiPath,
  "/etc/kernel/cmdline",
  "/usr/lib/os-release",
].map((path) => path.slice(1));

type Bootable = Pick<Spec, "boot" | "secrets">;

/** Packages that a system needs to go on booting after its own updates. GRUB's core image for BIOS and its menu are made by imgbuild. */
export function bootPackages({ boot, secrets }: Bootable): string[] {
  if (boot === undefined || !boot.firmware.includes("uefi")) return [];
  const { loader, secureBoot } = boot;
  const { packages } = onlyArchitecture;
  const shim = secureBoot === "debian" ? ["shim-signed"] : [];
  if (loader === "grub") return [packages.grubEfiSigned, ...shim];
  const signed = secureBoot === "debian" ? [packages.systemdBootSigned] : [];
  const signs = typeof secureBoot === "object" && secrets[secureBoot.key]?.path !== undefined;
  return ["systemd-boot", "systemd-boot-efi", ...signed, ...shim, ...(signs ? ["sbsigntool"] : [])];
}

/** Files of the new system by which its bootloader stays right when kernels and loaders are updated; there before any package is. */
export function bootFiles(spec: Bootable & Pick<Spec, "storage">, cmdline: readonly string[]): BootFile[] {
  const { boot, secrets } = spec;
  if (boot === undefined || !boot.firmware.includes("uefi")) return [];
  const { loader, secureBoot } = boot;
  if (loader === "grub") return loaderHooks(grubCopies(secureBoot === "debian"));
  const layout = loader === "uki" ? "uki" : "bls";
  const own = typeof secureBoot === "object" ? secureBoot : undefined;
  const kernels = kernelsMount(spec);
  return [
    ...kernelInstallFiles(cmdline, layout, kernels),
    ...kernelHooks({
      layout,
      ...(kernels === "/efi" ? {} : { kernelsApart: true }),
      ...(own === undefined ? {} : { signing: { keyPath: secrets[own.key]?.path } }),
    }),
    ...(secureBoot === "debian" ? loaderHooks(shimCopies) : []),
  ];
}

/** The certificate for the new system's own signing; not among the packages' files, so that another key leaves those as they are. */
export function certificateFiles({ boot }: Bootable): BootFile[] {
  const own =
    boot?.firmware.includes("uefi") && typeof boot.secureBoot === "object" ? boot.secureBoot : undefined;
  return own === undefined ? [] : [{ path: certificatePath, content: `${own.certificate.trimEnd()}\n` }];
}
