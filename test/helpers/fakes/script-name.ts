/** The name of the script in a command line that a host is given; undefined of any other program. */
export function scriptName(argv: readonly string[]): string | undefined {
  return argv[1] === "-c" ? argv[3]?.replace(/^imgbuild-/, "") : undefined;
}
