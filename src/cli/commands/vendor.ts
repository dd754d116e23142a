import { requireParent } from "../../system/files/parent.ts";
import type { AddCommand } from "../terminal/context.ts";
import { defHelp } from "../terminal/options.ts";

export const vendorCommand: AddCommand = (program, act) => {
  program
    .command("vendor")
    .description("collect every locked package in a directory, for builds without a network")
    .argument("<DEF>", defHelp)
    .argument("<DIR>", "where they go; `build --vendor DIR` takes them from there")
    .action((path: string, dir: string) =>
      act(async (cli) => {
        const { vendor } = await import("../../operator/cache/vendor.ts");
        const { openDefinition } = await import("../../operator/lock/open-definition.ts");
        const definition = await openDefinition(path, { check: () => requireParent(dir) });
        const { packages, bytes } = await cli.log.task("collecting packages", (log) =>
          vendor(definition, dir, { ...cli, log }),
        );
        cli.print(`${dir}: ${packages} packages, ${Math.round(bytes / 2 ** 20)} MiB`);
        cli.emit({ event: "done", directory: dir, packages, bytes });
      }),
    );
};
