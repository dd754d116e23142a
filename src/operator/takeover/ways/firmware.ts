import { entryHints, firmwareOption, leftIn, ownName, placeFiles, restart } from "./boot-entry.ts";
import { type GptPartition, loadOption } from "./load-option.ts";
import type { Way } from "./way.ts";

const loadText = `${placeFiles}
printf "$entry" > "$own/option"
sync
`;

/** A variable is written at once: 4 bytes of attributes, then its value. One that is there may be immutable. */
const jumpText = `
set -eu
umask 077
d=$1 trigger=$2 place=$3
put() {
  to=/sys/firmware/efi/efivars/$1-${firmwareOption.vendor}
  [ ! -e "$to" ] || chattr -i "$to"
  cat "$d/variable" > "$to"
}
{ printf '\\007\\000\\000\\000'; cat "$place/${ownName}/option"; } > "$d/variable"
put Boot${firmwareOption.number}
printf '\\007\\000\\000\\000${escaped(Buffer.from(firmwareOption.number, "hex").reverse())}' > "$d/variable"
put BootNext
${restart}`;

/** For printf. */
function escaped(bytes: Uint8Array): string {
  return [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}

/** The firmware starts the kernel itself, by its EFI stub, for which it has a variable that holds for one start. */
export function firmwareEntry(directory: string, partition: GptPartition): Way {
  return {
    name: "boot-entry",
    load: { name: "stage", text: loadText },
    entry: (commandLine) =>
      escaped(
        loadOption({
          title: firmwareOption.title,
          partition,
          path: `\\${ownName}\\kernel`,
          words: [`initrd=\\${ownName}\\initrd`, ...commandLine].join(" "),
        }),
      ),
    jump: { name: "jump", text: jumpText },
    at: [directory],
    throughFirmware: true,
    hints: entryHints,
    left: leftIn(directory),
  };
}
