import type { Spec } from "../../schema/spec.ts";
import { initramfsKeyFile } from "../../steps/boot/place-initramfs-key.ts";
import type { FileToWrite } from "../../steps/tree/write-files.ts";
import { unlockBySsh, unlockKeys, usualPort } from "./by-ssh.ts";
import { allOf, earlyLinks } from "./early-links.ts";
import { networkFunctions, stateDirectory } from "./network-script.ts";

/** Seconds after which a session that says nothing ends: one that was lost would keep a person's next from nothing, but the start waits for it. */
const idleSeconds = 300;
const tools = "/usr/share/initramfs-tools";

/**
 * What makes Debian's dropbear-initramfs answer in the definition's network, with cryptroot-unlock as the only command. Its script that
 * starts it is replaced by ours, in the place where initramfs-tools looks for an administrator's: the other waits for the kernel's `ip=`.
 */
export function unlockFiles(spec: Pick<Spec, "storage" | "network" | "users">): FileToWrite[] {
  const served = unlockBySsh(spec);
  if (served === undefined) return [];
  const keys = unlockKeys(served.unlock, spec);
  return [
    { path: "/etc/dropbear/initramfs/authorized_keys", content: keys.map((line) => `${line}\n`).join("") },
    {
      path: "/etc/initramfs-tools/scripts/init-premount/dropbear",
      mode: "0755",
      content: startScript(spec.network, served.unlock.port ?? usualPort),
    },
    { path: `${tools}/scripts/init-bottom/imgbuild-unlock`, mode: "0755", content: endScript },
    { path: `${tools}/hooks/imgbuild-unlock`, mode: "0755", content: hook(spec.network) },
  ];
}

/** Before the package is installed: where there is a key, it makes none, which would be the same on every machine of an image. */
export function unlockPlaceholders(spec: Pick<Spec, "storage">): FileToWrite[] {
  return unlockBySsh(spec) === undefined ? [] : [{ path: initramfsKeyFile, content: "", mode: "0600" }];
}

function startScript(network: Spec["network"], port: number): string {
  return `#!/bin/sh
# Made by imgbuild (docs/STORAGE.md): the definition's network, and dropbear in it, while the root waits for its passphrase.
self=/scripts/init-premount/dropbear
case "$1" in
    prereqs) echo udev; exit 0 ;;
esac
${networkFunctions(network)}
case "$1" in
    bound|renew) lease; exit 0 ;;
    deconfig|leasefail|nak) exit 0 ;;
esac
[ -x /sbin/dropbear ] || exit 0
mkdir -p "$state"
network > /dev/null 2>&1 &
echo $! >> "$state/pids"
# No password, no forwarding, and the one command; a session that says nothing ends.
/sbin/dropbear -F -s -j -k -I ${idleSeconds} -p ${port} -c /bin/cryptroot-unlock &
echo $! > /run/dropbear.pid
`;
}

/** Dropbear's own script ends it and takes the cards down. Ours comes after it: a session still says how it ended. */
const endScript = `#!/bin/sh
# Made by imgbuild (docs/STORAGE.md): what set up the network for the passphrase ends, and its VLANs go.
[ "$1" != prereqs ] || { echo dropbear; exit 0; }
state=${stateDirectory}
[ -d "$state" ] || exit 0
for pid in $(cat "$state/pids" 2> /dev/null); do
    kill "$pid" 2> /dev/null
done
for link in $(cat "$state/made" 2> /dev/null); do
    busybox ip link del "$link" 2> /dev/null
done
rm -r "$state"
exit 0
`;

function hook(network: Spec["network"]): string {
  const hasVlan = allOf(earlyLinks(network)).some(({ link }) => link.device?.kind === "vlan");
  return `#!/bin/sh
# Made by imgbuild (docs/STORAGE.md): drivers of network cards, by which dropbear is reached.
[ "$1" != prereqs ] || { echo dropbear; exit 0; }
. /usr/share/initramfs-tools/hook-functions
auto_add_modules net
manual_add_modules af_packet${hasVlan ? " 8021q" : ""}
# Its home has a random name, by which no two of the same initramfs are alike.
for home in "$DESTDIR"/root-*; do
    [ -d "$home" ] || continue
    mv "$home" "$DESTDIR/root-unlock"
    sed -i "s|:\${home#"$DESTDIR"}:|:/root-unlock:|" "$DESTDIR/etc/passwd"
done
# The key of a system in the making comes before this archive, in one of its own.
[ -s ${initramfsKeyFile} ] || rm -f "$DESTDIR${keyInInitramfs}"
`;
}

/** Where dropbear looks for it. */
const keyInInitramfs = "/etc/dropbear/dropbear_ed25519_host_key";
