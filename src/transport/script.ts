/** A program for a host's `sh`. */
export interface HostScript {
  /** What it does, in one word; `ps` on the host shows it, and so does `$0`. */
  readonly name: string;
  /** POSIX sh, for dash and BusyBox as well. */
  readonly text: string;
}

/** The command line that runs it there; `$1` and on are `args`. */
export function scriptArgv({ name, text }: HostScript, args: readonly string[] = []): readonly string[] {
  return ["sh", "-c", text, `imgbuild-${name}`, ...args];
}
