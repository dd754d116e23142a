import { onlyArchitecture } from "../../tables/architecture.ts";

const { libraries, grub } = onlyArchitecture;

/**
 * Parts of the base's tree with which rescue media are made. Media are made on the operator's side, where the tree is a directory: the
 * squashfs, which costs memory on the target, goes without them. `*` stands for part of a name.
 */
export const mediumOnly: readonly string[] = [
  ...["xorriso", "xorrisofs", "xorrecord", "osirrox"].map((name) => `usr/bin/${name}`),
  ...["libisoburn", "libisofs", "libburn", "libjte"].map((name) => `${libraries}/${name}.so*`),
  "usr/lib/shim",
  `usr/lib/grub/${grub.efi}-signed`,
];
