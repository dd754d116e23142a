import type { HostScript } from "../../../transport/script.ts";

/** How the running system gives the machine to the base, as `--takeover` names it. */
export const wayNames = ["kexec", "kexec-file", "boot-entry"] as const;
export type WayName = (typeof wayNames)[number];

/** What stays on the old system where it was not taken back, and who does that. */
export interface Left {
  readonly what: string;
  readonly remedy: string;
}

/** One way from the running system into the base. Its scripts run on the host as root, and `$1` of each is the work directory. */
export interface Way {
  readonly name: WayName;
  /** Makes ready what `jump` starts, and starts nothing. `$2` is where the base's files are, `$3` `entry`, the rest `at`. */
  readonly load: HostScript;
  /** How the kernel's command line is handed over. */
  readonly entry: (commandLine: readonly string[]) => string;
  /** Leaves the running system a moment after it has answered; `$2` is the file by which sysrq is asked, the rest `at`. */
  readonly jump: HostScript;
  /** Where on the host. */
  readonly at: readonly string[];
  /** The machine goes through its firmware, which may take minutes. */
  readonly throughFirmware: boolean;
  /** What to do where the running system was not left, and where it came back. */
  readonly hints: { readonly stayed: string; readonly cameBack: string };
  readonly left: Left;
}

/**
 * For `load`: lays the base's initramfs together, as archives may follow one another: a finished tree where one was sent, the base, then
 * its own small files once more, so that the new system can keep the base, then the deploy. Copies in RAM go as soon as they are in it.
 */
export const joinInitrd = `
join_initrd() {
  : > "$1"
  for tree in "$d/tree" "$source/tree"; do
    if [ -f "$tree" ]; then mv -f "$tree" "$1"; fi
  done
  cat "$source/outer" "$source/squashfs" >> "$1"
  [ "$source" != "$d" ] || rm -f "$d/squashfs"
  cat "$d/part0" "$source/kernel" "$d/part1" "$source/outer" "$d/part2" "$source/kit" "$d/part3" >> "$1"
  rm -f "$d"/part?
}`;

/** For `jump`: runs `$d/jump` with the words that follow, out of reach of the end of our connection. */
export const runDetached = `
run_detached() {
  if command -v setsid >/dev/null 2>&1; then setsid sh "$d/jump" "$@" </dev/null >/dev/null 2>&1 &
  else nohup sh "$d/jump" "$@" </dev/null >/dev/null 2>&1 &
  fi
}`;
