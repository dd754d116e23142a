import { spawn } from "node:child_process";
import { once } from "node:events";
import { refreshArgv } from "../../tables/distribution.ts";
import { Fail } from "../../util/fail.ts";
import type { AddCommand, Cli } from "../terminal/context.ts";

/** Of an installation, with the time in which a password is typed. */
const installMs = 30 * 60_000;

export const doctorCommand: AddCommand = (program, act) => {
  program
    .command("doctor")
    .description("what this machine lacks, and the command that fixes it")
    .option("--install", "install the packages that are missing, without asking")
    .action((options: { install?: boolean }) =>
      act(async (cli) => {
        const { missing, remedy } = await import("../../operator/native/doctor.ts");
        const { fixOf } = await import("../../operator/native/ordinary-user.ts");
        const { showArgv } = await import("../../system/run/run.ts");
        const { namespaceTroubles } = await import("../../system/user/namespace-troubles.ts");
        let lacking = await missing(["build", "vm"]);
        const root = process.getuid?.() === 0;
        const troubles = root ? [] : await namespaceTroubles();
        for (const need of lacking)
          cli.emit({ event: "missing", what: need.what, package: need.package, use: need.use });
        for (const { reason, fix } of troubles)
          cli.emit({ event: "missing", what: reason, fix, use: "user" });
        for (const need of lacking)
          cli.print(`missing: ${need.what} (package ${need.package}, to ${useOf[need.use]})`);
        for (const { reason } of troubles)
          for (const line of reason.split("\n")) cli.print(`missing: ${line} (to ${useOf.user})`);
        if (lacking.length > 0 && (options.install || (await wanted(cli)))) {
          await installed([...(root ? [] : ["sudo"]), ...remedy(lacking)], cli);
          lacking = await missing(["build", "vm"]);
        }
        const count = lacking.length + troubles.length;
        const fixes = [
          ...(lacking.length > 0 ? [`${root ? "" : "sudo "}${showArgv(remedy(lacking))}`] : []),
          ...(fixOf(troubles) ?? []),
        ];
        const ways = [
          ...(fixes.length > 0 ? [fixes.join(" && ")] : []),
          ...(troubles.length > 0 ? ["build with sudo"] : []),
        ];
        if (count > 0)
          throw new Fail(`${count} ${count === 1 ? "thing is" : "things are"} missing`, {
            hint: ways.join("\nor "),
          });
        cli.print("everything is here");
        cli.emit({ event: "done", missing: 0, root });
      }),
    );
};

async function wanted(cli: Cli): Promise<boolean> {
  if (!cli.interactive) return false;
  return /^y(es)?$/i.test((await cli.ask("Install the missing packages now? [y/N] ")).trim());
}

/** With the terminal: sudo may ask for a password, and apt shows how far it is. */
async function installed(argv: readonly string[], cli: Cli): Promise<void> {
  const [program = "", ...args] = argv;
  const output = cli.json ? "ignore" : process.stderr;
  const child = spawn(program, args, {
    stdio: ["inherit", output, "inherit"],
    env: { ...cli.env },
    timeout: installMs,
  });
  const [code] = (await once(child, "exit", { signal: cli.signal })) as [number | null];
  if (code !== 0)
    throw new Fail(`${argv.join(" ")} ended with ${code ?? "a signal"}`, {
      hint: `run \`${refreshArgv.join(" ")}\` before, as root, if it knows no such package`,
    });
}

const useOf = {
  build: "build",
  user: "build without root",
  vm: "run virtual machines",
  tests: "run the project's tests",
} as const;
