import type { Data } from "../../schema/settings.ts";
import type { Spec } from "../../schema/spec.ts";
import type { Expectation } from "../../steps/tree/check-tree.ts";
import { mountsOf } from "../../storage/graph/check-storage.ts";
import { distribution } from "../../tables/distribution.ts";
import { notAmong, type Problem } from "../../util/problem.ts";
import { serverOf, usesSsh } from "./backup-address.ts";
import {
  backupProgram,
  backupScript,
  backupSecrets,
  databaseCommands,
  loadDirectory,
} from "./backup-script.ts";
import { asksFor, type Setting } from "./setting.ts";

const units = "/etc/systemd/system";
export const backupUnit = "imgbuild-backup";
const loadUnit = "imgbuild-load.service";
/** The first backup of much data over a slow line, and the loading of a large database. */
const backupBound = "7d";
const loadBound = "1d";
/** Many machines do not begin at once. */
const delay = "10min";
/** What a build makes; data of a machine is elsewhere. */
const ofTheSystem = [
  ...["/bin", "/boot", "/dev", "/efi", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/systemd/system"],
  ...["/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var/lib/imgbuild", "/var/tmp"],
  distribution.database,
];

/** What is state: a program that backs it up and restores it, a timer, and a service that loads databases after a restore. */
export const data: Setting = {
  field: "data",
  files: (spec) => (spec.data === undefined ? [] : filesOf(spec, spec.data)),
  problems: (spec) => (spec.data === undefined ? [] : problemsOf(spec, spec.data)),
  enables: ({ data }) => {
    if (data === undefined) return [];
    return [`${backupUnit}.timer`, ...(data.databases.length === 0 ? [] : [loadUnit])];
  },
  expected: ({ data }) => (data === undefined ? [] : expectedOf(data)),
};

function filesOf(spec: Spec, data: Data) {
  const databases = databaseCommands(data);
  const before = [...new Set(databases.flatMap((one) => one.before))];
  return [
    { path: backupProgram, content: backupScript(spec, data), mode: "0755" },
    { path: `${units}/${backupUnit}.service`, content: serviceText(spec, data) },
    { path: `${units}/${backupUnit}.timer`, content: timerText(data) },
    ...(databases.length === 0 ? [] : [{ path: `${units}/${loadUnit}`, content: loadText(spec, data) }]),
    // Neither starts on an empty database, should its loading fail.
    ...before.map((unit) => ({
      path: `${units}/${unit}.d/40-imgbuild-load.conf`,
      content: `[Unit]\nRequires=${loadUnit}\nAfter=${loadUnit}\n`,
    })),
  ];
}

function credentialLines({ secrets }: Spec, data: Data): string {
  return backupSecrets(data)
    .map((name) => `LoadCredential=${name}:${secrets[name]?.path ?? ""}\n`)
    .join("");
}

function serviceText(spec: Spec, data: Data): string {
  const after = ["network-online.target", loadUnit, ...databaseCommands(data).flatMap((one) => one.after)];
  return `[Unit]
Description=Back up the data of this machine
Wants=network-online.target
After=${[...new Set(after)].join(" ")}

[Service]
Type=oneshot
ExecStart=${backupProgram} now
${credentialLines(spec, data)}CacheDirectory=${backupUnit}
CacheDirectoryMode=0700
PrivateTmp=yes
Nice=10
IOSchedulingClass=idle
TimeoutStartSec=${backupBound}
`;
}

function timerText({ schedule }: Data): string {
  return `[Unit]
Description=Back up the data of this machine

[Timer]
OnCalendar=${schedule}
RandomizedDelaySec=${delay}
Persistent=true

[Install]
WantedBy=timers.target
`;
}

/** What fails stays there, and is loaded when the unit is started again. */
function loadText(spec: Spec, data: Data): string {
  const after = [...new Set(databaseCommands(data).flatMap((one) => one.after))];
  const servers = after.length === 0 ? "" : `Wants=${after.join(" ")}\nAfter=${after.join(" ")}\n`;
  return `[Unit]
Description=Load the databases that were restored
ConditionDirectoryNotEmpty=${loadDirectory}
${servers}
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${backupProgram} load
${credentialLines(spec, data)}PrivateTmp=yes
TimeoutStartSec=${loadBound}

[Install]
WantedBy=multi-user.target
`;
}

/** Debian's package of each program. */
export const packageOf = { restic: "restic", borg: "borgbackup", rsync: "rsync" } as const;

function problemsOf(spec: Spec, data: Data): Problem[] {
  const { backup, paths, databases, keep } = data;
  const path = ["data"];
  const problems: Problem[] = [];
  const needs = (name: string, ...at: string[]) => {
    if (!asksFor(spec, name))
      problems.push({ path: [...path, ...at], message: `needs the package \`${name}\` in packages.install` });
  };
  if (paths.length === 0 && databases.length === 0)
    problems.push({ path, message: "says of nothing that it is state; needs `paths` or `databases`" });
  if (backup.type === "command") for (const name of backup.packages) needs(name, "backup", "packages");
  else {
    needs(packageOf[backup.type], "backup");
    problems.push(...sshProblems(data));
    if (usesSsh(backup)) needs("openssh-client", "backup", "ssh");
    const server = serverOf(backup);
    if (server !== undefined && server.login === undefined && server.port !== 80)
      needs("ca-certificates", "backup", "repository");
  }
  if (keep !== undefined && (backup.type === "rsync" || backup.type === "command"))
    problems.push({
      path: [...path, "keep"],
      message: `is for restic and borg, not for ${backup.type}; leave it out`,
    });
  for (const name of backupSecrets(data)) problems.push(...secretProblems(spec, name));
  return [...problems, ...pathProblems(spec, data), ...databaseProblems(data)];
}

function sshProblems({ backup }: Data): Problem[] {
  if (backup.type === "command") return [];
  const path = ["data", "backup", "ssh"];
  const ssh = usesSsh(backup);
  if (ssh && backup.ssh === undefined)
    return [
      { path, message: "is missing; needs `key` and `knownHosts` for an address that is reached by SSH" },
    ];
  // A secret's address is not known here.
  const isKnown = !(backup.type === "restic" && typeof backup.repository === "object");
  if (!ssh && isKnown && backup.ssh !== undefined)
    return [{ path, message: "is for an address that is reached by SSH; leave it out" }];
  return [];
}

function secretProblems({ secrets }: Spec, name: string): Problem[] {
  if (!Object.hasOwn(secrets, name))
    return [{ path: ["data", "backup"], message: notAmong(name, Object.keys(secrets), "secrets") }];
  const from = secrets[name]?.path;
  if (from === undefined)
    return [{ path: ["secrets", name], message: "needs a `path`, from which the backup takes it" }];
  if (/^[A-Za-z0-9_.@+/-]+$/.test(from)) return [];
  const message = "may hold letters, digits and `_.@+-/` only: a unit names this path";
  return [{ path: ["secrets", name, "path"], message }];
}

function pathProblems({ storage }: Spec, { paths }: Data): Problem[] {
  const kept = storage === undefined ? [] : mountsOf(storage).filter((one) => one.kept);
  return paths.flatMap((one, index): Problem[] => {
    const path = ["data", "paths", index];
    const system = ofTheSystem.find((other) => isIn(one, other) || isIn(other, one));
    if (system !== undefined)
      return [
        {
          path,
          message: `${one} holds or is part of ${system}, which a build makes; name the directories of data`,
        },
      ];
    const inside = kept.find(({ mount }) => mount !== one && isIn(mount, one));
    if (inside !== undefined)
      return [
        {
          path,
          message: `${one} holds ${inside.mount}, which is kept and never restored; name what is beside it`,
        },
      ];
    const outer = paths.findIndex(
      (other, at) => at !== index && isIn(one, other) && (other !== one || at < index),
    );
    if (outer >= 0) return [{ path, message: `${one} is in ${paths[outer]} already; leave it out` }];
    return [];
  });
}

function databaseProblems(data: Data): Problem[] {
  const names = databaseCommands(data).map(({ name }) => name);
  return names.flatMap((name, index): Problem[] =>
    names.indexOf(name) === index
      ? []
      : [
          {
            path: ["data", "databases", index],
            message: `another database is called ${name} too; needs a name of its own`,
          },
        ],
  );
}

/** Whether a path is another, or below it. */
export function isIn(path: string, other: string): boolean {
  return path === other || path.startsWith(`${other}/`);
}

function expectedOf(data: Data): Expectation[] {
  const path = ["data"];
  const { backup } = data;
  return [
    { path: [...path, "schedule"], kind: "calendar event", name: data.schedule, says: data.schedule },
    ...(backup.type === "command"
      ? []
      : [{ path: [...path, "backup"], kind: "program" as const, name: backup.type }]),
    ...(usesSsh(backup) ? [{ path: [...path, "backup", "ssh"], kind: "program" as const, name: "ssh" }] : []),
    ...databaseCommands(data).flatMap(({ programs, after, before }, index) => [
      ...programs.map((name) => ({ path: [...path, "databases", index], kind: "program" as const, name })),
      ...[...after, ...before].map((name) => ({
        ...{ path: [...path, "databases", index], kind: "unit" as const, name },
      })),
    ]),
  ];
}
