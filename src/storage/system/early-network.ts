import type { ConfigFile } from "./degraded-start.ts";

/**
 * The initramfs has drivers for disks alone (MODULES=list); these are the network cards that it would have with MODULES=most. There is no
 * `ip=` on the kernel's line: clevis asks for an address by itself, by DHCP on each card, when it sees that a volume needs it. Told by that
 * word, the initramfs would ask once more behind the passphrase, for minutes where nobody answers; systemd would ask on cards of which the
 * definition says nothing; and clevis 20 takes `ip=dhcp` for the name of a card, and gives the network up when there is none.
 */
export const earlyNetworkFile: ConfigFile = {
  path: "/usr/share/initramfs-tools/hooks/imgbuild-network",
  mode: "0755",
  content: `#!/bin/sh
# Made by imgbuild (docs/STORAGE.md): drivers of network cards, by which a tang server is reached.
[ "$1" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
auto_add_modules net
`,
};
