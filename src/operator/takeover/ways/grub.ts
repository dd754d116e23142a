import { grubWord } from "../../../boot/grub.ts";
import { began, ended, entryHints, leftIn, ownName, placeFiles, restart } from "./boot-entry.ts";
import type { Way } from "./way.ts";

/** Bytes of GRUB's environment block, which it writes in place. */
const blockBytes = 1024;
const [header, armed] = ["# GRUB Environment Block\\n", "imgbuild_once=yes\\n"];
const fill = blockBytes - (header.length - 1) - (armed.length - 1);

/** The lines go to the end of custom.cfg, which may be somebody's. */
const loadText = `${placeFiles}
custom=$place/custom.cfg
[ ! -e "$custom" ] || cp -p "$custom" "$custom.imgbuild"
printf '%s\\n' "$entry" >> "$custom.imgbuild"
sync
mv "$custom.imgbuild" "$custom"
sync
`;

const jumpText = `
set -eu
umask 077
d=$1 trigger=$2 place=$3
printf '${header}${armed}' > "$place/${ownName}/env"
printf '%${fill}s' '' | tr ' ' '#' >> "$place/${ownName}/env"
${restart}`;

/**
 * An entry of the GRUB that started the old system. GRUB itself disarms it, and takes it only once it has read back that it did: where
 * it cannot write to its disk, the old system starts. An entry that fails restarts the machine, by then into the old system.
 */
export function grubEntry(directory: string): Way {
  return {
    name: "boot-entry",
    load: { name: "stage", text: loadText },
    entry: linesOf,
    jump: { name: "jump", text: jumpText },
    at: [directory],
    throughFirmware: true,
    hints: entryHints,
    left: leftIn(directory),
  };
}

/** `config_directory` is that of custom.cfg; GRUB before 2.00 has none. */
function linesOf(commandLine: readonly string[]): string {
  return `${began}
if [ -n "\${config_directory}" ]; then set imgbuild="\${config_directory}/${ownName}"
else set imgbuild="\${prefix}/${ownName}"
fi
export imgbuild
if [ -f "\${imgbuild}/env" ]; then
  set imgbuild_once=
  load_env --file "\${imgbuild}/env" imgbuild_once
  if [ "\${imgbuild_once}" = yes ]; then
    set imgbuild_once=
    save_env --file "\${imgbuild}/env" imgbuild_once
    set imgbuild_once=unread
    load_env --file "\${imgbuild}/env" imgbuild_once
    if [ -z "\${imgbuild_once}" ]; then
      set default=${ownName}
      set timeout=0
    fi
  fi
fi
menuentry 'imgbuild: the base of a deploy' --unrestricted --id ${ownName} {
  echo 'Loading the base of a deploy ...'
  if linux "\${imgbuild}/kernel" ${commandLine.map(grubWord).join(" ")}; then
    if initrd "\${imgbuild}/initrd"; then
      boot
    fi
  fi
  reboot
}
${ended}`;
}
