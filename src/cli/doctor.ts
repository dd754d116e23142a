import { missing, remedy } from "../operator/doctor.ts";
import { showArgv } from "../system/run.ts";
import { Fail } from "../util/fail.ts";
import type { AddCommand } from "./commands.ts";

export const doctorCommand: AddCommand = (program, act) => {
  program
    .command("doctor")
    .description("what this machine lacks, and the command that fixes it")
    .action(() =>
      act(async (cli) => {
        const lacking = await missing(["build", "vm"]);
        const root = process.getuid?.() === 0;
        for (const need of lacking)
          cli.emit({ event: "missing", what: need.what, package: need.package, use: need.use });
        for (const need of lacking)
          cli.print(`missing: ${need.what} (package ${need.package}, to ${useOf[need.use]})`);
        if (!root)
          cli.print("note: building on this machine needs root; deploying does not, once the base is built");
        if (lacking.length > 0)
          throw new Fail(`${lacking.length} things are missing`, {
            hint: `${root ? "" : "sudo "}${showArgv(remedy(lacking))}`,
          });
        cli.print("everything is here");
        cli.emit({ event: "done", missing: 0, root });
      }),
    );
};

const useOf = { build: "build", vm: "run virtual machines", tests: "run the project's tests" } as const;
