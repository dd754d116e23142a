import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFailed, onTestFinished } from "vitest";
import { run } from "../../../src/system/run/run.ts";
import type { ReleaseName } from "../../../src/tables/release.ts";
import { silentLog } from "../../../src/util/log.ts";
import { takePlace } from "../../../src/vm/lab/room.ts";
import { tempDir } from "../temp-dir.ts";
import { type BareTerminal, makeBareRoot } from "./bare-root.ts";

const minutes = 60_000;
const lineMs = 120 * minutes;
/** Of what the terminals showed, where a line fails. */
const shownEnd = 20_000;
const { version } = JSON.parse(readFileSync("package.json", "utf8"));
const guide = readFileSync("docs/FIRST-SERVER.md", "utf8");
const emulatedDeploy = /`(make deploy [^`]*OPTIONS=[^`]*)`/.exec(guide)![1]!;

/** The guide in its order: what stands before a block, and the lines to type. */
const steps = [...guide.matchAll(/([\s\S]*?)^```sh\n([\s\S]*?)^```$/gm)].map(([, prose, block]) => ({
  prose: prose!,
  lines: block!.split("\n").filter((line) => line !== ""),
}));

/** Types every command of docs/FIRST-SERVER.md in a bare Debian, as it is written there. Gives what the first terminal showed; throws
 * where a line fails. */
export async function followGuide(suite: ReleaseName, show?: (text: string) => void): Promise<string> {
  const packed = tempDir();
  await run(["node", "--import", "tsx", "scripts/package.ts", packed], {
    timeoutMs: 10 * minutes,
    env: process.env as Record<string, string>,
  });
  // Its machines are not of our making, but count as one of this computer's.
  const { leave } = await takePlace({ log: silentLog });
  onTestFinished(leave);
  const root = await makeBareRoot(suite);
  onTestFinished(() => root.remove());
  const name = `imgbuild-${version}.tgz`;
  copyFileSync(join(packed, name), join(root.home, name));
  const [first, second] = [root.terminal(show), root.terminal()];
  for (const terminal of [first, second]) {
    onTestFinished(() => terminal.close());
    onTestFailed(() => void process.stderr.write(`${terminal.text.slice(-shownEnd)}\n`));
  }
  let options = "";
  for (const { prose, lines } of steps) {
    if (/^On Debian 12 alone/m.test(prose) && suite !== "bookworm") continue;
    if (prose.includes("type Ctrl-]")) await leaveMachine(second);
    if (/second terminal/.test(prose) && lines[0]!.includes("imgbuild run")) {
      options = await startMachine(second, lines);
      continue;
    }
    for (const line of lines) {
      const typed = options !== "" && line.startsWith("make deploy") ? emulatedDeploy : line;
      await first.line(typed, lineMs, wipeAnswer);
    }
  }
  await first.line("cd ~/first && npx tsc --noEmit", 10 * minutes);
  await leaveMachine(second);
  return first.text;
}

/** What is asked before a disk is wiped names what is to be typed. */
function wipeAnswer(text: string): string | undefined {
  return /Type the \w+ of the disk to be wiped \([^()]*, ([^(), ]+)\): $/.exec(text)?.[1];
}

/** Gives what a deploy to it needs. */
async function startMachine(terminal: BareTerminal, lines: readonly string[]): Promise<string> {
  const after = terminal.text.length;
  terminal.type(`cd ~/first\n${lines.join("\n")}\n`);
  // Once it was taken over, it is another system.
  await terminal.until(/\n\S+ login: /, 60 * minutes, after);
  return /--slow \d+/.exec(terminal.text.slice(after))?.[0] ?? "";
}

async function leaveMachine(terminal: BareTerminal): Promise<void> {
  const after = terminal.text.length;
  terminal.type("\x1d");
  await terminal.until(/\$ $/, 2 * minutes, after);
}
