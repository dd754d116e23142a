import type { Command } from "commander";
import { asRoot } from "./as-root.ts";
import { baseCommand } from "./base.ts";
import { buildCommand } from "./build.ts";
import { cacheCommand } from "./cache.ts";
import type { Cli } from "./context.ts";
import { deployCommand } from "./deploy.ts";
import { doctorCommand } from "./doctor.ts";
import { followCommands } from "./follow.ts";
import { initCommand } from "./init.ts";
import { lockCommand } from "./lock.ts";
import { planCommand } from "./plan.ts";
import { sbomCommand } from "./sbom.ts";
import { secretsCommand } from "./secrets.ts";
import { testCommands } from "./test.ts";
import { vendorCommand } from "./vendor.ts";

/** Gives a command's action the context; what the action throws becomes message and exit code. */
export type Act = (run: (cli: Cli) => Promise<void>) => Promise<void>;
/** Adds one command to the program. */
export type AddCommand = (program: Command, act: Act) => void;

/** The command's work as root: an ordinary user's is done in a user namespace. */
function withRoot(add: AddCommand): AddCommand {
  return (program, act) => add(program, (run) => act((cli) => asRoot(cli, () => run(cli))));
}

/** In the order of `imgbuild --help`. */
export const commands: readonly AddCommand[] = [
  initCommand,
  lockCommand,
  sbomCommand,
  vendorCommand,
  withRoot(buildCommand),
  withRoot(testCommands),
  planCommand,
  deployCommand,
  followCommands,
  secretsCommand,
  baseCommand,
  cacheCommand,
  doctorCommand,
];
