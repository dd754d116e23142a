import type { Lock, LockedPackage } from "../../schema/lock.ts";
import type { StepData } from "../../schema/plan.ts";
import type { Data } from "../../schema/settings.ts";
import type { Spec } from "../../schema/spec.ts";
import { askBackup } from "../../steps/data/ask-backup.ts";
import { restoreData } from "../../steps/data/restore-data.ts";
import { stepData } from "../../steps/step/step.ts";
import { mountsOf } from "../../storage/graph/check-storage.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import { isOwnPath, serverOf, usesSsh } from "../settings/backup-address.ts";
import { backupProgram, backupScript, backupSecrets } from "../settings/backup-script.ts";
import { isIn, packageOf } from "../settings/data.ts";

/** What the program itself is run by. */
const shell = ["bash", "coreutils", "sed"];
/** Only scripts of packages need these, and none is run. */
const forScripts = ["adduser", "debconf", "init-system-helpers", "passwd", "perl-base", "ucf"];

/** The restore of a definition's data: what is tried before the first write, and what is done when the tree is built. */
export function restoreSteps(
  spec: Spec,
  lock: Lock,
): { readonly prepare: StepData[]; readonly steps: StepData[] } {
  const { data } = spec;
  if (data === undefined)
    throw new Fail("the definition has no `data`, so there is nothing to restore", {
      exitCode: exitCodes.usage,
      hint: "say in `data` what is state and where it is backed up (docs/BACKUP.md), or leave out --restore",
    });
  const secrets = backupSecrets(data);
  const paths = restoredPaths(spec, data);
  if (paths.length === 0 && data.databases.length === 0) return { prepare: [], steps: [] };
  const server = serverOf(data.backup);
  return {
    prepare: isOwnPath(data.backup)
      ? []
      : [
          stepData(askBackup, "trying the backup", {
            ...{ script: backupScript(spec, data), secrets, packages: packagesToTry(data, lock) },
            ...(server === undefined ? {} : { server: { host: server.host, port: server.port } }),
          }),
        ],
    steps: [
      stepData(restoreData, "restoring the data from its backup", { program: backupProgram, secrets, paths }),
    ],
  };
}

/** What is on a filesystem that is kept is there already, and stays as it is. */
function restoredPaths({ storage }: Spec, { paths }: Data): string[] {
  const kept = storage === undefined ? [] : mountsOf(storage).filter((one) => one.kept);
  return paths.filter((path) => !kept.some(({ mount }) => isIn(path, mount)));
}

/** Of the lock: the program of the backup, with all that it depends on. None where the lock does not know what depends on what. */
function packagesToTry({ backup }: Data, { packages }: Lock): LockedPackage[] {
  const tools = backup.type === "command" ? backup.packages : [packageOf[backup.type]];
  const wanted = [...tools, ...(usesSsh(backup) ? ["openssh-client"] : []), ...shell];
  const byName = new Map(packages.map((one) => [one.name, one]));
  if (wanted.some((name) => byName.get(name)?.depends === undefined)) return [];
  const found = new Set<string>();
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (found.has(name) || forScripts.includes(name)) continue;
    found.add(name);
    wanted.push(...(byName.get(name)?.depends ?? []));
  }
  return packages.filter(({ name }) => found.has(name));
}
