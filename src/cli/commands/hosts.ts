import { relative } from "node:path";
import { Fail } from "../../util/fail.ts";
import type { AddCommand } from "../terminal/context.ts";

export const hostsCommand: AddCommand = (program, act) => {
  program
    .command("hosts")
    .description("the hosts of the repository's hosts.yaml, and when each was last deployed from here")
    .action(() =>
      act(async (cli) => {
        const { hostRecords } = await import("../../operator/definition/host-records.ts");
        const { knownDeploy } = await import("../../operator/records/known-deploys.ts");
        const found = await hostRecords(process.cwd());
        if (found === undefined)
          throw new Fail("no hosts.yaml here or above, within the git repository", {
            hint: "docs/HOSTS.md shows one",
          });
        const rows: string[][] = [];
        for (const { name, definition, address } of found.hosts) {
          const deployed = await knownDeploy(cli.env, address).catch(() => undefined);
          const path = relative(process.cwd(), definition) || ".";
          const lastDeploy = deployed?.started;
          rows.push([name, path, address, lastDeploy ?? "not deployed from here"]);
          cli.emit({ event: "host", name, definition: path, address, lastDeploy: lastDeploy ?? null });
        }
        const width = (column: number) => Math.max(...rows.map((row) => row[column]!.length));
        for (const row of rows)
          cli.print(
            row
              .map((cell, column) => cell.padEnd(width(column)))
              .join("  ")
              .trimEnd(),
          );
        cli.emit({ event: "done", file: found.file, hosts: rows.length });
      }),
    );
};
