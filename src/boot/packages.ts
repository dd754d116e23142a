import type { Spec } from "../schema/spec.ts";

/** Packages that a system needs to go on booting after its own updates. GRUB's core image and menu are made by imgbuild. */
export function bootPackages(boot: NonNullable<Spec["boot"]>): string[] {
  return boot.firmware.includes("uefi") ? ["systemd-boot", "systemd-boot-efi"] : [];
}
