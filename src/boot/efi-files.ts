import { onlyArchitecture } from "../tables/architecture.ts";

const { efi, grub } = onlyArchitecture;
const program = (name: string) => `${name}${efi.suffix}.efi`;
const systemd = "/usr/lib/systemd/boot/efi";

/** Where Debian's packages have what goes to the ESP. */
export const debianLoaders = {
  grub: `/usr/lib/grub/${grub.efi}-signed/${program("grub")}.signed`,
  shim: `/usr/lib/shim/${program("shim")}.signed`,
  mokManager: `/usr/lib/shim/${program("mm")}.signed`,
  systemdBoot: `${systemd}/${program("systemd-boot")}`,
} as const;

/** Debian's signed GRUBs for media and for the network, each looking for its menu there, and what is beside shim. */
export const mediaLoaders = {
  medium: `/usr/lib/grub/${grub.efi}-signed/${program("gcd")}.signed`,
  network: `/usr/lib/grub/${grub.efi}-signed/${program("grubnet")}.signed`,
  besideShim: `EFI/BOOT/${program("grub")}`,
  mokBesideShim: `EFI/BOOT/${program("mm")}`,
} as const;

/** systemd's boot stub, of the package systemd-boot-efi. */
export const stubPath = `${systemd}/linux${efi.suffix}.efi.stub`;

/** Where loaders are on the ESP: at the path that firmware tries unasked, and by name. */
export const onEsp = {
  removable: `EFI/BOOT/${efi.removable}`,
  systemdBoot: `EFI/systemd/${program("systemd-boot")}`,
  shim: `EFI/debian/${program("shim")}`,
  grub: `EFI/debian/${program("grub")}`,
} as const;

type Copies = readonly (readonly [from: string, to: string])[];

/** shim starts what has GRUB's name beside it. */
const { besideShim, mokBesideShim } = mediaLoaders;
const shimItself: Copies = [
  [debianLoaders.mokManager, `EFI/debian/${program("mm")}`],
  [debianLoaders.mokManager, mokBesideShim],
  [debianLoaders.shim, onEsp.shim],
  [debianLoaders.shim, onEsp.removable],
];

/** Copies of GRUB on the ESP. GRUB, wherever it is, looks for EFI/debian/grub.cfg. */
export function grubCopies(shim: boolean): Copies {
  const { grub } = debianLoaders;
  const first = [grub, onEsp.grub] as const;
  return shim ? [first, [grub, besideShim], ...shimItself] : [first, [grub, onEsp.removable]];
}

/** Copies of shim before systemd-boot, which bootctl(1) does not make at the removable path. */
export const shimCopies: Copies = [
  [`${debianLoaders.systemdBoot}.signed`, besideShim],
  [`${debianLoaders.systemdBoot}.signed`, onEsp.grub],
  ...shimItself,
];
