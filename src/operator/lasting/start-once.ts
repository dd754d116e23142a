import { customMenu, grubEnvironment, lasting, lastingEntryName } from "../../boot/rescue-entry.ts";
import type { Host } from "../../transport/host.ts";
import { type HostScript, scriptArgv } from "../../transport/script.ts";
import { Fail } from "../../util/fail.ts";
import { writtenByGrub } from "../takeover/ways/choose.ts";

const smallMs = 30_000;
const armMs = 120_000;

/** Variables of The Boot Loader Interface. */
const vendor = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/** Changes nothing. `$1`: another root, for tests. */
const lookScript: HostScript = {
  name: "look-for-rescue",
  text: `
set -u
root=\${1-}
echo "name $(cat "$root/proc/sys/kernel/hostname")"
echo "boot $(cat "$root/proc/sys/kernel/random/boot_id")"
if [ -e "$root/sys/firmware/efi/efivars/LoaderInfo-${vendor}" ]; then
  for at in /efi /xbootldr; do
    [ ! -f "$root$at/loader/entries/${lastingEntryName}" ] || { echo "entry systemd-boot"; exit 0; }
  done
  exit 0
fi
grep -q -- '--id ${lasting.id} {' "$root${customMenu}" 2>/dev/null || exit 0
grep -q custom.cfg "$root/boot/grub/grub.cfg" 2>/dev/null || exit 0
set -- $(df -P "$root/boot/grub" | sed 1d)
device=$(readlink -f "$1") at=$6 type=unknown plain=no
[ ! -e "/sys/class/block/\${device##*/}/partition" ] || plain=yes
while read -r _ mount kind _; do
  [ "$mount" != "$at" ] || type=$kind
done < /proc/mounts
echo "entry grub $type $plain"
`,
};

/** How a host starts the base that stays on it. */
export interface Found {
  /** As it calls itself. */
  readonly name: string;
  readonly bootId: string;
  readonly loader: "grub" | "systemd-boot";
}

/** Looks on the running system, and refuses where there is no entry, or none that would be started once alone. */
export async function findRescue(host: Host): Promise<Found> {
  const { stdout } = await host.exec(scriptArgv(lookScript), { root: true, timeoutMs: smallMs });
  return foundIn(stdout);
}

/** What the script has said. */
export function foundIn(stdout: string): Found {
  const word = (name: string) => new RegExp(`^${name} (.*)$`, "m").exec(stdout)?.[1]?.trim() ?? "";
  const [loader, type = "", plain] = word("entry").split(" ");
  if (loader !== "grub" && loader !== "systemd-boot")
    throw new Fail(
      "the host has no entry for a rescue system in the menu of the bootloader that started it",
      {
        hint: "a deploy of a definition with `rescue: true` in `boot` leaves one",
      },
    );
  if (loader === "grub" && (plain !== "yes" || !writtenByGrub.includes(type)))
    throw new Fail(
      `GRUB cannot write to /boot/grub (${type}${plain === "yes" ? "" : ", not on a partition itself"}), so it would start the rescue system again and again`,
      { hint: "choose it in GRUB's menu at the console; there it holds for one start" },
    );
  return { name: word("name"), bootId: word("boot"), loader };
}

/** `$1`: another root, for tests; with it nothing restarts. */
export const startOnceScripts: Record<Found["loader"], HostScript> = {
  grub: {
    name: "start-rescue-once",
    text: `
set -eu
umask 077
env=\${1-}${grubEnvironment.path}
[ "$(wc -c < "$env")" -eq ${grubEnvironment.bytes} ] || { echo "$env is no block of GRUB's" >&2; exit 1; }
new=$(mktemp /run/imgbuild-XXXXXX)
trap 'rm -f "$new"' EXIT
{
  printf '${grubEnvironment.header.replace("\n", "\\n")}'
  grep -v -e '^#' -e '^next_entry=' "$env" || :
  printf 'next_entry=${lasting.id}\\n'
} > "$new"
left=$((${grubEnvironment.bytes} - $(wc -c < "$new")))
[ "$left" -ge 0 ] || { echo "$env has no room for another variable" >&2; exit 1; }
printf "%\${left}s" '' | tr ' ' '#' >> "$new"
# In its place: GRUB reads the blocks that it has, and no journal.
dd if="$new" of="$env" bs=${grubEnvironment.bytes} count=1 conv=notrunc,fsync 2>/dev/null
cmp "$new" "$env" >&2
sync
`,
  },
  "systemd-boot": {
    name: "start-rescue-once",
    text: `
set -eu
umask 077
variable=\${1-}/sys/firmware/efi/efivars/LoaderEntryOneShot-${vendor}
new=$(mktemp /run/imgbuild-XXXXXX)
trap 'rm -f "$new"' EXIT
# 4 bytes of attributes, then the value in UTF-16.
{ printf '\\007\\000\\000\\000'; printf '${utf16(lastingEntryName)}\\000\\000'; } > "$new"
[ ! -e "$variable" ] || chattr -i "$variable" 2>/dev/null || :
# The firmware takes a variable in one write.
cat "$new" > "$variable"
# Not -s, which goes by the sizes that the kernel shows: that of a new variable may not be right yet.
cmp "$new" "$variable" >&2
`,
  },
};

/** For printf. */
function utf16(text: string): string {
  return [...text].map((letter) => `${letter}\\000`).join("");
}

const restartScript: HostScript = {
  name: "restart",
  text: `
restart='sleep 1; if [ -d /run/systemd/system ] && systemctl reboot; then :; else reboot; fi'
if command -v setsid >/dev/null 2>&1; then setsid sh -c "$restart" </dev/null >/dev/null 2>&1 &
else nohup sh -c "$restart" </dev/null >/dev/null 2>&1 &
fi
`,
};

/** The next start is the rescue system's, and no other; the host restarts a second from now. */
export async function startOnce(host: Host, { loader }: Found): Promise<void> {
  await host.exec(scriptArgv(startOnceScripts[loader]), { root: true, timeoutMs: armMs });
  await host.exec(scriptArgv(restartScript), { root: true, timeoutMs: smallMs });
}
