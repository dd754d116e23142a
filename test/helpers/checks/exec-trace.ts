import { readFileSync } from "node:fs";

/**
 * The argv that runs another, and notes every program that it and all its children start, by whatever way: the kernel stops each of
 * them for strace, so none is too short-lived to be seen.
 */
export function traced(argv: readonly string[], file: string): string[] {
  const what = ["--trace=execve,execveat", "--seccomp-bpf", "--follow-forks"];
  // Whole, with every variable of the environment, each byte as a number.
  const how = ["--no-abbrev", "--string-limit=4194304", "--strings-in-hex=all", "--quiet=all"];
  return ["strace", ...what, ...how, `--output=${file}`, "--", ...argv];
}

/** What each start named: the program, its arguments, its environment. */
export function startsIn(file: string): Buffer[][] {
  return readFileSync(file, "latin1")
    .split("\n")
    .filter((line) => /^\d+\s+execve(at)?\(/.test(line))
    .map((line) =>
      [...line.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((match) =>
        Buffer.from(match[1]!.replaceAll("\\x", ""), "hex"),
      ),
    );
}
