import { entryHints, leftIn, ownName, placeFiles, restart } from "./boot-entry.ts";
import type { Way } from "./way.ts";

/** Read by systemd-boot, which removes it before it starts what it names (The Boot Loader Interface). */
const oneShot = "/sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

const loadText = `${placeFiles}
mkdir -p "$place/loader/entries"
printf '%s\\n' "$entry" > "$place/loader/entries/${ownName}.conf"
sync
`;

/** A variable is written at once: 4 bytes of attributes, then its value. One that is there may be immutable. */
const jumpText = `
set -eu
umask 077
d=$1 trigger=$2 place=$3 variable=\${4-${oneShot}}
[ ! -e "$variable" ] || chattr -i "$variable"
{ printf '\\007\\000\\000\\000'; printf '${utf16(`${ownName}.conf`)}\\000\\000'; } > "$d/variable"
cat "$d/variable" > "$variable"
${restart}`;

/** For printf. */
function utf16(text: string): string {
  return [...text].map((letter) => `${letter}\\000`).join("");
}

/** An entry of the systemd-boot that started the old system, named in the variable that holds for one start. */
export function systemdBootEntry(directory: string): Way {
  return {
    name: "boot-entry",
    load: { name: "stage", text: loadText },
    entry: (commandLine) =>
      [
        "title imgbuild: the base of a deploy",
        `linux /${ownName}/kernel`,
        `initrd /${ownName}/initrd`,
        `options ${commandLine.join(" ")}`,
      ].join("\n"),
    jump: { name: "jump", text: jumpText },
    at: [directory],
    throughFirmware: true,
    hints: entryHints,
    left: leftIn(directory),
  };
}
