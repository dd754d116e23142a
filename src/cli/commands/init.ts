import { initDefinition } from "../../operator/definition/init.ts";
import type { AddCommand } from "../terminal/context.ts";

export const initCommand: AddCommand = (program, act) => {
  program
    .command("init")
    .description("a definition to start from")
    .argument("<DIR>", "a directory that does not exist yet, or is empty")
    .action((directory: string) =>
      act(async (cli) => {
        for (const file of await initDefinition(directory)) {
          cli.print(file);
          cli.emit({ event: "written", file });
        }
        cli.print(
          `next: edit it (\`imgbuild plan ${directory} HOST\` shows the host's disks, and what names each), then \`imgbuild lock ${directory}\` and \`imgbuild test ${directory}\``,
        );
      }),
    );
};
