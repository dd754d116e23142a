import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { project } from "../helpers/imgbuild.ts";
import { tempDir } from "../helpers/temp-dir.ts";

// The shells themselves, each with the text that `imgbuild completion` prints for it.
const timeoutMs = 60_000;
const keyMs = 200;

/** A home with a definition, an ssh_config and the shell's file, and the environment to complete in. */
function place(shell: "bash" | "zsh" | "fish") {
  const home = tempDir();
  mkdirSync(join(home, "hosts/web"), { recursive: true });
  writeFileSync(join(home, "hosts/web/IMGBUILD.ts"), "");
  mkdirSync(join(home, ".ssh"));
  writeFileSync(join(home, ".ssh/config"), "Host web-1 *.example.org\n  User root\nHost backup\n");
  writeFileSync(join(home, "hosts.yaml"), "hosts:\n  mail:\n    address: root@192.0.2.25\n");
  writeFileSync(join(home, "a-file"), "");
  const env = { PATH: `${project}/bin:${process.env.PATH}`, HOME: home, TERM: "dumb", LC_ALL: "C.UTF-8" };
  writeFileSync(
    join(home, `imgbuild.${shell}`),
    execFileSync(join(project, "bin/imgbuild"), ["completion", shell], { env }),
  );
  return { cwd: home, env };
}

const lines: [line: string, offered: string[], not: string[]][] = [
  ["imgbuild dep", ["deploy"], ["doctor"]],
  ["imgbuild deploy ho", ["hosts/web"], []],
  ["imgbuild deploy hosts/web ", ["backup", "mail", "web-1"], ["a-file"]],
  ["imgbuild test ma", ["mail"], []],
  ["imgbuild build hosts/web --format qc", ["qcow2"], []],
  ["imgbuild plan hosts/web --comm", ["--commands"], []],
];

it("bash completes commands, definitions, hosts, options and their values", () => {
  const at = { ...place("bash"), encoding: "utf8" } as const;
  const script = `source ./imgbuild.bash
COMP_LINE=$1 COMP_POINT=$(printf %s "$1" | wc -c)
_imgbuild
IFS=$'\\n'
echo "\${COMPREPLY[*]}"`;
  for (const [line, offered, not] of lines)
    expectWords(line, execFileSync("bash", ["-c", script, "bash", line], at).split("\n"), offered, not);
});

it("fish completes the same", () => {
  const at = { ...place("fish"), encoding: "utf8" } as const;
  const script = "source ./imgbuild.fish; complete --do-complete $argv[1]";
  for (const [line, offered, not] of lines) {
    const said = execFileSync("fish", ["--no-config", "-c", script, line], at);
    const words = said.split("\n").map((one) => one.split("\t")[0]!);
    expectWords(line, words, offered, not);
  }
});

it("zsh completes the same", async () => {
  const at = place("zsh");
  for (const [line, offered, not] of lines)
    expectWords(line, (await zshShows(line, at)).split(/[\s]+/), offered, not);
});

function expectWords(line: string, words: readonly string[], offered: string[], not: string[]): void {
  expect(words, line).toEqual(expect.arrayContaining(offered));
  for (const word of not) expect(words, line).not.toContain(word);
}

/** What an interactive zsh shows after the line and two tabs. */
async function zshShows(line: string, at: ReturnType<typeof place>): Promise<string> {
  const child = spawn("script", ["--quiet", "--return", "--command", "zsh -f -i", "/dev/null"], {
    ...at,
    stdio: ["pipe", "pipe", "ignore"],
  });
  let shown = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
  });
  const until = async (text: string) => {
    const end = Date.now() + timeoutMs;
    while (!shown.includes(text)) {
      if (Date.now() > end) throw new Error(`zsh did not show ${text}: ${shown}`);
      await new Promise((resolve) => setTimeout(resolve, keyMs));
    }
  };
  try {
    child.stdin.write("autoload -U compinit && compinit -u -D && source ./imgbuild.zsh && echo rea''dy\n");
    await until("ready");
    shown = "";
    child.stdin.write(`${line}\t`);
    // A single match is inserted, several are listed; an echo of a key after it says that it is done.
    child.stdin.write("\x01: \x05 en''d\n");
    await until("en''d");
    return shown;
  } finally {
    child.kill("SIGKILL");
    await once(child, "close");
  }
}
