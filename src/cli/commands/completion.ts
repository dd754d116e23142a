import { Argument } from "commander";
import type { AddCommand } from "../terminal/context.ts";

export const completionCommands: AddCommand = (program, act) => {
  program
    .command("completion")
    .description("what makes a shell complete commands, options, definitions and hosts")
    .addArgument(new Argument("<SHELL>", "the shell").choices(["bash", "zsh", "fish"]))
    .action((shell: "bash" | "zsh" | "fish") =>
      act(async (cli) => {
        const { shells } = await import("../completion/shells.ts");
        if (cli.json) cli.emit({ event: "completion", shell, text: shells[shell] });
        else process.stdout.write(shells[shell]);
      }),
    );
  program
    .command("complete", { hidden: true })
    .description("what may stand in the place of the last word; called by the shell")
    .argument("[WORDS...]", "the words after the program's name")
    .action((words: string[]) =>
      act(async (cli) => {
        const { candidates } = await import("../completion/candidates.ts");
        const { lookAround } = await import("../completion/look.ts");
        const { also, words: found } = candidates(program, words, await lookAround(cli.env));
        cli.print(also);
        for (const [word, about] of found) process.stdout.write(`${word}\t${firstWords(about)}\n`);
      }),
    );
};

const aboutLength = 60;

function firstWords(about: string): string {
  const [first = ""] = about.split(/[;:(\n]/);
  return first.length <= aboutLength ? first.trim() : `${first.slice(0, aboutLength - 1).trim()}…`;
}
