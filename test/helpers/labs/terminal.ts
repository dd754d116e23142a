import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { shellLine } from "../../../src/util/shell-word.ts";
import { project } from "../imgbuild.ts";

/** What is typed comes when the terminal has stopped to show it. */
const typingMs = 500;

/** The command line in a terminal, where these are typed, each when the question comes once more. `cwd`: default the checkout. */
export async function atTerminal(
  args: readonly string[],
  question: RegExp,
  typed: readonly string[],
  how: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly timeoutMs: number;
    readonly cwd?: string;
  },
): Promise<{ readonly code: number | null; readonly text: string }> {
  const left = [...typed];
  const command = shellLine([join(project, "bin/imgbuild"), ...args]);
  const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    cwd: how.cwd ?? project,
    env: { ...how.env },
  });
  let [text, seen] = ["", 0];
  child.stdin.on("error", () => {});
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    const found = question.exec(text.slice(seen));
    const answer = found === null ? undefined : left.shift();
    if (found === null || answer === undefined) return;
    seen += found.index + found[0].length;
    void sleep(typingMs).then(() => child.stdin.write(`${answer}\r`));
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), how.timeoutMs);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  return { code, text };
}
