import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { examples } from "../../src/cli/examples.ts";
import { commandLine } from "../../src/cli/program.ts";
import { hostRecords } from "../../src/operator/definition/host-records.ts";
import { loadDefinition } from "../../src/operator/definition/load.ts";
import { noHost } from "../../src/operator/init/answers.ts";
import { repositoryFiles } from "../../src/operator/init/repository.ts";
import { run } from "../../src/system/run/run.ts";
import { docBlocks, docSpans, docs, moduleOf, writeModule, writeRepository } from "../helpers/checks/docs.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const around = { imgbuild: "^1", recipients: [], login: [], debianPackages: [], npmPackage: undefined };
const blocks = docBlocks();
const typeScript = blocks.filter(({ language, path }) => language === "ts" && path === undefined);
/** Pages that show a whole repository. */
const repositories = docs
  .map((page) => ({
    page,
    files: blocks.filter(({ place, path }) => path !== undefined && place.startsWith(`${page}:`)),
  }))
  .filter(({ files }) => files.length > 0);
const shell = blocks
  .filter(({ language }) => language === "sh")
  .flatMap(({ place, text }) =>
    text.split("\n").map((line) => ({ place, text: line.replace(/(^|\s)#.*/, "").trim() })),
  )
  .filter(({ text }) => text !== "");

describe("the documentation's TypeScript", () => {
  it.each(typeScript.filter((one) => moduleOf(one).kind === "definition"))(
    "is a definition that is accepted: $place",
    async (block) => {
      const directory = tempDir();
      writeModule(directory, moduleOf(block).code);
      expect((await loadDefinition(directory)).unfinished).toEqual([]);
    },
  );

  it.each(repositories)("is a repository whose hosts are all accepted: $page", async ({ files }) => {
    const from = tempDir();
    writeRepository(from, files);
    const { hosts } = (await hostRecords(from))!;
    expect(hosts.length).toBeGreaterThan(2);
    for (const { name } of hosts) expect((await loadDefinition(name, { from })).unfinished).toEqual([]);
  });

  it("has the types of what it calls", async () => {
    const directory = tempDir();
    for (const [index, block] of typeScript.entries()) {
      const at = `${index}-${block.place.replace(/\W+/g, "-")}`;
      writeModule(join(directory, at), moduleOf(block).code);
    }
    for (const { page, files } of repositories)
      writeRepository(join(directory, page.replace(/\W+/g, "-")), files);
    const { compilerOptions } = JSON.parse(readFileSync("tsconfig.json", "utf8")) as {
      compilerOptions: object;
    };
    const config = {
      compilerOptions: {
        ...compilerOptions,
        noUnusedLocals: false,
        typeRoots: [resolve("node_modules/@types")],
        paths: {
          imgbuild: [resolve("src/dsl/index.ts")],
          "imgbuild/parameters": [resolve("src/dsl/parameters.ts")],
          "imgbuild/profiles": [resolve("src/profiles/index.ts")],
          "imgbuild/testing": [resolve("src/testing/index.ts")],
        },
      },
      include: ["**/*.ts", resolve("src/**/*.d.ts")],
    };
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
    writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(config));
    const { stdout } = await run([resolve("node_modules/.bin/tsc"), "--project", directory], {
      accept: [0, 1, 2],
    });
    expect(stdout).toBe("");
  }, 60_000);
});

describe("the examples of the help texts", () => {
  const leaves = (command: Command, words: readonly string[]): string[] =>
    command.commands.length === 0
      ? [words.join(" ")]
      : shownBelow(command).flatMap((below) => leaves(below, [...words, below.name()]));

  it("are there for every command, and for nothing else", () => {
    expect(Object.keys(examples).sort()).toEqual(leaves(silent(), []).sort());
  });
  it.each(
    Object.entries(examples).flatMap(([words, lines]) => lines.map(([line]) => [line, words] as const)),
  )("%s is accepted, and calls its command", async (line, words) => {
    expect(line.startsWith(`imgbuild ${words}`)).toBe(true);
    await parse(line.slice("imgbuild ".length));
  });
  it("are shown", () => {
    let shown = "";
    const program = silent();
    const lock = program.commands.find((command) => command.name() === "lock")!;
    lock.configureOutput({ writeOut: (text) => (shown += text) }).outputHelp();
    expect(shown).toMatch(/\nExamples:\n {2}imgbuild lock web\n {6}choose packages/);
  });
});

/** Words that are read as files by the command line; these exist. */
const files = [
  "-i",
  "--identity",
  "--ssh-key",
  "-F",
  "--ssh-config",
  "--known-hosts",
  "--from-key",
  "--vendor",
];

/** The command that a line calls, by its words. */
function commandOf(program: Command, words: readonly string[]): Command | undefined {
  let command: Command = program;
  for (const word of words.filter((one) => !one.startsWith("-")))
    command = command.commands.find((one) => one.name() === word) ?? command;
  return command === program ? undefined : command;
}

const silent = () =>
  commandLine(
    async () => {},
    () => {},
  );

/** Without what only a shell calls. */
function shownBelow(command: Command): Command[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== "help");
}

/** A whole line, by the real parser. */
async function parse(text: string): Promise<void> {
  const words = wordsOf(text);
  const argv = words.map((word, index) =>
    files.includes(words[index - 1] ?? "") ? import.meta.filename : word,
  );
  await silent()
    .parseAsync(argv, { from: "user" })
    .catch((error: Error) => {
      throw new Error(`${text}: ${error.message}`);
    });
}

/** What is only mentioned: its command and its options are some that there are. */
function mention(text: string): void {
  const program = silent();
  const words = wordsOf(text);
  const command = commandOf(program, words);
  if (/^[a-z]/.test(words[0] ?? "")) expect(command, `there is no such command: ${text}`).toBeDefined();
  const options = [...program.options, ...(command?.options ?? [])].flatMap(({ short, long }) => [
    short,
    long,
  ]);
  for (const [option] of text.matchAll(/(?<=[\s[])--?[a-z][a-z-]*/g))
    expect(["--help", ...options], text).toContain(option);
}

function wordsOf(text: string): string[] {
  return text
    .replace(/^(sudo |npx )?(bin\/)?imgbuild\s*/, "")
    .split(/\s+/)
    .filter((word) => word !== "");
}

/** Of the checkout, and of a server's repository. */
const makefiles = [
  readFileSync("Makefile", "utf8"),
  repositoryFiles({ ...noHost, hostname: "web" }, around).get("Makefile")!,
];
const targets = makefiles.flatMap((text) => [...text.matchAll(/^([a-z-]+):/gm)].map((match) => match[1]!));
/** Other people's programs in shell blocks. */
const others = /^(openssl|git|cd|mkdir|npm|npx|ssh|sudo|node|for) /;

describe("the documentation's commands", () => {
  it.each(shell)("are accepted: $text ($place)", async ({ text }) => {
    if (/^(bin\/|npx )?imgbuild /.test(text)) return await parse(text);
    const make = /^make ?([a-z-]*)/.exec(text);
    if (make !== null) return expect(["", ...targets]).toContain(make[1]);
    expect(text).toMatch(others);
  });

  it("are accepted in running text too", () => {
    const spans = docSpans().filter(({ text }) => /^(sudo |npx )?(bin\/)?imgbuild( |$)/.test(text));
    expect(spans.length).toBeGreaterThan(30);
    for (const { text } of spans) mention(text);
    for (const { place, text } of docSpans().filter((one) => /^make [a-z]/.test(one.text)))
      expect(targets, place).toContain(/^make ([a-z-]+)/.exec(text)![1]);
  });

  it("are all in the list of commands, with options that they have", () => {
    const listed = docSpans().filter(({ place }) => place.startsWith("docs/COMMANDS.md"));
    const program = silent();
    const names = shownBelow(program).map((one) => one.name());
    const rows = listed.filter(({ text }) => names.includes(text.split(" ")[0]!));
    for (const { text } of rows) mention(`imgbuild ${text}`);
    for (const name of names)
      expect(
        rows.map(({ text }) => text.split(" ")[0]),
        `the list has no ${name}`,
      ).toContain(name);
  });

  it("stand in blocks whose language is said", () => {
    expect(
      blocks
        .filter(({ language, path }) => {
          const known = ["ts", "sh", "text", "mermaid", ...(path === undefined ? [] : ["yaml"])];
          return !known.includes(language);
        })
        .map(({ place }) => place),
    ).toEqual([]);
  });
});
