import { baseCommand } from "./commands/base.ts";
import { buildCommand } from "./commands/build.ts";
import { cacheCommand } from "./commands/cache.ts";
import { completionCommands } from "./commands/completion.ts";
import { deployCommand } from "./commands/deploy.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { followCommands } from "./commands/follow.ts";
import { hostsCommand } from "./commands/hosts.ts";
import { initCommand } from "./commands/init.ts";
import { lockCommand } from "./commands/lock.ts";
import { planCommand } from "./commands/plan.ts";
import { backupCommand } from "./commands/recover/backup.ts";
import { escrowCommand } from "./commands/recover/escrow.ts";
import { rescueCommand } from "./commands/recover/rescue.ts";
import { rescueBootCommand } from "./commands/recover/rescue-boot.ts";
import { storeCommand } from "./commands/recover/store.ts";
import { unlockCommand } from "./commands/recover/unlock.ts";
import { sbomCommand } from "./commands/sbom.ts";
import { secretsCommand } from "./commands/secrets.ts";
import { testCommands } from "./commands/test.ts";
import { vendorCommand } from "./commands/vendor.ts";
import { asRoot } from "./terminal/as-root.ts";
import type { AddCommand } from "./terminal/context.ts";

/** The command's work as root: an ordinary user's is done in a user namespace. */
function withRoot(add: AddCommand): AddCommand {
  return (program, act) => add(program, (run) => act((cli) => asRoot(cli, () => run(cli))));
}

/** In the order of `imgbuild --help`. */
export const commands: readonly AddCommand[] = [
  initCommand,
  hostsCommand,
  lockCommand,
  sbomCommand,
  vendorCommand,
  storeCommand,
  withRoot(buildCommand),
  withRoot(testCommands),
  planCommand,
  deployCommand,
  followCommands,
  unlockCommand,
  rescueBootCommand,
  withRoot(rescueCommand),
  backupCommand,
  escrowCommand,
  secretsCommand,
  baseCommand,
  cacheCommand,
  doctorCommand,
  completionCommands,
];
