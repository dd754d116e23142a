import type { Cli } from "./context.ts";

/** Ends the command with that exit code; what there was to say has been said. */
export class Ended extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`ended with ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/**
 * Does work that needs root's rights over files: root does it here; for anybody else the same command line is run again as
 * root of a user namespace, with our terminal, directory and environment, and we end as it does.
 */
export async function asRoot(cli: Cli, work: () => Promise<void>): Promise<void> {
  if (process.getuid?.() === 0) return await work();
  const { imgbuildAsRoot } = await import("../../operator/native/ordinary-user.ts");
  const { exitCodeOf } = await import("../../system/user/user-namespace.ts");
  const child = await imgbuildAsRoot(cli.argv, {
    env: cli.env,
    cache: cli.cache,
    stdio: ["inherit", "inherit", "inherit"],
    instead: "run the same command with sudo",
  });
  // A key typed at the terminal has reached it already; it takes both for one interruption.
  const pass = () => void child.kill("SIGINT");
  cli.signal.addEventListener("abort", pass, { once: true });
  if (cli.signal.aborted) pass();
  const code = await exitCodeOf(child);
  cli.signal.removeEventListener("abort", pass);
  if (code !== 0) throw new Ended(code);
}
