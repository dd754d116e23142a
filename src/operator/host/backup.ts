import { type HostScript, scriptArgv } from "../../transport/script.ts";
import { Fail } from "../../util/fail.ts";
import type { DeployWorld } from "../deploy/world.ts";
import { backupProgram } from "../settings/backup-script.ts";
import { backupUnit } from "../settings/data.ts";

/** The first backup of much data over a slow line. */
const boundMs = 7 * 24 * 3_600_000;

export type BackupVerb = "now" | "list" | "check";

const noData = 64;
/** The unit does what its timer does; what it says is shown as it comes. The rest is the program's own answer. */
const script: HostScript = {
  name: "backup",
  text: `
[ -x ${backupProgram} ] || exit ${noData}
[ "$1" = now ] || exec ${backupProgram} "$1"
journalctl --follow --lines=0 --output=cat --unit=${backupUnit}.service &
follower=$!
trap 'kill $follower 2>/dev/null' EXIT
code=0
systemctl start ${backupUnit}.service || code=1
sleep 1
exit $code
`,
};

/** Has a host back up its data, or show or check what is backed up; `show` gets each line of it. */
export async function backupOn(
  verb: BackupVerb,
  host: string,
  world: DeployWorld,
  show: (line: string) => void,
): Promise<void> {
  const { log, signal } = world;
  const system = await log.task(`connecting to ${host}`, () => world.connect({}));
  try {
    await system.becomeRoot(world.password === undefined ? {} : { askPassword: world.password });
    const { code } = await system.exec(scriptArgv(script, [verb]), {
      root: true,
      timeoutMs: boundMs,
      onLine: show,
      accept: "any",
      signal,
    });
    if (code === 0) return;
    if (code === noData)
      throw new Fail(`${host} has no backup: its definition says nothing of its data`, {
        hint: "say in `data` what is state and where it is backed up (docs/BACKUP.md), and deploy",
      });
    throw new Fail(`the backup on ${host} has failed: ${verb} ended with ${code}; its words are above`, {
      hint: `on the host: journalctl --unit=${backupUnit}`,
    });
  } finally {
    system.close();
  }
}
