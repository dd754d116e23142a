import { asRoot } from "../terminal/as-root.ts";
import type { AddCommand } from "../terminal/context.ts";

export const baseCommand: AddCommand = (program, act) => {
  const command = program.command("base").description("the runner's environment");
  for (const [name, description] of [
    ["build", "make it, unless the cache has it"],
    ["show", "where it is, how large, and of what"],
  ] as const)
    command
      .command(name)
      .description(description)
      .action(() =>
        act(async (cli) => {
          const { buildBase } = await import("../../operator/base/base.ts");
          const { sizeOf } = await import("../../operator/takeover/takeover.ts");
          const base = await buildBase(cli);
          const { digest, kernel, outer, squashfs, kit } = base;
          cli.print(`base ${digest}: ${(sizeOf(base) / 2 ** 20).toFixed(1)} MiB`);
          const files = { kernel, outer, squashfs, kit };
          if (name === "show")
            for (const [each, { path, size, sha256 }] of Object.entries(files))
              cli.print(`${each.padEnd(8)} ${String(size).padStart(10)} ${sha256} ${path}`);
          cli.emit({ event: "done", digest, bytes: sizeOf(base), files });
        }),
      );
  command
    .command("remove")
    .description("take all bases that this user has made out of the cache")
    .action(() =>
      act((cli) =>
        asRoot(cli, async () => {
          const { removeBases } = await import("../../operator/native/ordinary-user.ts");
          const removed = await removeBases(cli.cache);
          for (const directory of removed) cli.print(`removed ${directory}`);
          cli.emit({ event: "done", removed });
        }),
      ),
    );
};
