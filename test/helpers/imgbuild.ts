import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";

export const project = resolve(import.meta.dirname, "../..");

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line as users run it, in a process of its own. */
export async function imgbuild(
  args: readonly string[],
  options: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly timeoutMs: number;
    /** Show what it says as it comes. */
    readonly show?: boolean;
    readonly onStart?: (child: ChildProcess) => void;
    readonly stdin?: string;
    /** Default the checkout's. */
    readonly program?: string;
    /** Default the checkout. */
    readonly cwd?: string;
  },
): Promise<Ran> {
  const child = spawn(options.program ?? join(project, "bin/imgbuild"), args, {
    cwd: options.cwd ?? project,
    env: { ...options.env },
    stdio: "pipe",
  });
  options.onStart?.(child);
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
      if (options.show) process[name].write(chunk);
    });
  child.stdin.on("error", () => {});
  child.stdin.end(options.stdin ?? "");
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  return { code: code ?? 128, ...text };
}

/** Fails with the end of what the command said, so that the reason is read where a test's failure is. */
export function expectSuccess({
  code,
  stderr,
}: {
  readonly code: number | null;
  readonly stderr: string;
}): void {
  if (code !== 0) throw new Error(`ended with ${code}:\n${stderr.slice(-3000)}`);
}
