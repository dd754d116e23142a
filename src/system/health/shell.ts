/** How a command is run on the system that is checked; `code` is the program's own. */
export interface HealthShell {
  run(
    argv: readonly string[],
    options?: { timeoutMs?: number },
  ): Promise<{ code: number; stdout: string; stderr: string }>;
}

/** What bash itself opens (`/dev/tcp`, `/dev/udp`): nothing has to be installed for it. */
export function bashOn(
  shell: HealthShell,
  script: string,
  args: readonly string[],
  seconds: number,
): ReturnType<HealthShell["run"]> {
  // Ended there as well, where a lost connection would leave it. Started by a server, bash would read ~/.bashrc.
  const argv = ["timeout", String(seconds), "bash", "--norc", "-c", script, "bash", ...args];
  return shell.run(argv, { timeoutMs: (seconds + marginSeconds) * 1000 });
}

const marginSeconds = 5;
