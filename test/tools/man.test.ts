import { spawnSync } from "node:child_process";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { manPages } from "../../src/cli/man.ts";
import { commandLine } from "../../src/cli/program.ts";

const program = commandLine(
  async () => {},
  () => {},
);
const pages = manPages(program);

/** As man shows it, without the breaks of its lines; and what groff complains of. */
function shown(page: string) {
  const options = ["-man", "-ww", "-Tascii", "-P-cbou", "-rLL=200n"];
  const { stdout, stderr } = spawnSync("groff", options, { input: page, encoding: "utf8" });
  return { text: stdout.replace(/\s+/g, " "), complaints: stderr };
}

function everyCommand(command: Command, words: readonly string[] = []): [name: string, command: Command][] {
  const below = command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== "help");
  return [
    [`${["imgbuild", ...words].join("-")}.1`, command],
    ...below.flatMap((one) => everyCommand(one, [...words, one.name()])),
  ];
}

describe("the manual", () => {
  it.each(everyCommand(program))(
    "%s says what the help does, and groff finds nothing wrong",
    (name, command) => {
      const { text, complaints } = shown(pages.get(name)!);
      expect(complaints).toBe("");
      expect(text).toContain(command.description().replace(/\s+/g, " "));
      for (const { flags, description } of command.options) {
        expect(text).toContain(flags);
        expect(text).toContain(description.replace(/\s+/g, " "));
      }
    },
  );

  it("has a page for each command, and none for what only a shell calls", () => {
    expect([...pages.keys()]).toEqual(everyCommand(program).map(([name]) => name));
    expect([...pages.keys()]).toEqual(
      expect.arrayContaining(["imgbuild-deploy.1", "imgbuild-secrets-edit.1"]),
    );
    expect([...pages.keys()]).not.toContain("imgbuild-complete.1");
  });
});
