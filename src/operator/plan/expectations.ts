import type { Spec } from "../../schema/spec.ts";
import type { Expectation } from "../../steps/tree/check-tree.ts";
import { mountsOf } from "../../storage/graph/check-storage.ts";
import { programOf, unitLines, valuesOf } from "../check/unit-text.ts";
import { settingsExpect } from "../settings/settings.ts";

/** Programs there may come from elsewhere, and after the build: from data, a kept disk, or what runs before. */
const elsewhere = [
  "/run",
  "/tmp",
  "/dev",
  "/proc",
  "/sys",
  "/var",
  "/srv",
  "/home",
  "/root",
  "/mnt",
  "/media",
];
/** Of these kinds systemd makes units by itself. */
const made = /\.(mount|slice)$/;
const commands = [
  "ExecCondition",
  "ExecStartPre",
  "ExecStart",
  "ExecStartPost",
  "ExecReload",
  "ExecStop",
  "ExecStopPost",
];

/** What the packages' tree must have before anything of the definition is laid upon it. */
export function expectedOfPackages(spec: Spec): Expectation[] {
  const found: Expectation[] = [];
  const declared = declaredNames(spec);
  if (!/^(Etc\/)?UTC$/.test(spec.timezone))
    found.push({ path: ["timezone"], kind: "time zone", name: spec.timezone });
  if (spec.locale !== "C.UTF-8") found.push({ path: ["locale"], kind: "locale", name: spec.locale });
  for (const [user, { groups, shell }] of Object.entries(spec.users)) {
    found.push({ path: ["users", user, "shell"], kind: "program", name: shell });
    for (const [index, name] of groups.entries())
      if (!declared.has(name)) found.push({ path: ["users", user, "groups", index], kind: "group", name });
  }
  found.push(...expectedOfSystemUsers(spec, declared));
  for (const field of ["files", "templates"] as const)
    for (const [file, { owner, group }] of Object.entries(spec[field] ?? {}))
      found.push(...owners([field, file], owner, group, declared));
  return found;
}

/** What the tree must have when all files are placed and all scripts have run. */
export function expectedOfTree(spec: Spec): Expectation[] {
  const found: Expectation[] = [];
  const declared = declaredNames(spec);
  for (const [name, { owner, group, path }] of Object.entries(spec.secrets))
    if (path !== undefined) found.push(...owners(["secrets", name], owner, group, declared));
  for (const [name, { state, unit, dropIn }] of Object.entries(spec.services)) {
    // A unit that is not there may be masked all the same.
    if (unit === undefined && state !== "masked")
      found.push({ path: ["services", name], kind: "unit", name });
    for (const [field, text] of Object.entries({ unit, dropIn }))
      if (text !== undefined) found.push(...expectedOfUnit(["services", name, field], text, spec, declared));
  }
  for (const [index, check] of spec.health.entries()) {
    const path = ["health", index];
    if (check.type === "unit" && !made.test(check.unit) && spec.services[check.unit]?.unit === undefined)
      found.push({ path: [...path, "unit"], kind: "unit", name: check.unit, says: check.unit });
    const program = check.type === "command" ? check.argv[0] : undefined;
    if (program !== undefined && isOwn(program, spec))
      found.push({ path: [...path, "argv", 0], kind: "program", name: program, says: program });
  }
  return [...found, ...settingsExpect(spec)];
}

/** Users, and with them their groups. */
function declaredNames({ users, sysusers = {} }: Spec): ReadonlySet<string> {
  return new Set(["root", ...Object.keys(users), ...Object.keys(sysusers)]);
}

function expectedOfSystemUsers({ sysusers = {} }: Spec, declared: ReadonlySet<string>): Expectation[] {
  const all = Object.entries(sysusers);
  if (all.length === 0) return [];
  const program: Expectation = { path: ["sysusers"], kind: "program", name: "systemd-sysusers" };
  return [
    program,
    ...all.flatMap(([user, { shell, groups }]): Expectation[] => {
      const path = ["sysusers", user];
      return [
        ...(shell === undefined ? [] : [{ path: [...path, "shell"], kind: "program" as const, name: shell }]),
        // The program would make a group that it does not find.
        ...groups.flatMap((name, index) =>
          declared.has(name) ? [] : [{ path: [...path, "groups", index], kind: "group" as const, name }],
        ),
      ];
    }),
  ];
}

function owners(
  path: readonly string[],
  owner: string,
  group: string,
  declared: ReadonlySet<string>,
): Expectation[] {
  return [
    ...(declared.has(owner) ? [] : [{ path: [...path, "owner"], kind: "user" as const, name: owner }]),
    ...(declared.has(group) ? [] : [{ path: [...path, "group"], kind: "group" as const, name: group }]),
  ];
}

function expectedOfUnit(
  path: readonly string[],
  text: string,
  spec: Spec,
  declared: ReadonlySet<string>,
): Expectation[] {
  const lines = unitLines(text);
  const found: Expectation[] = [];
  for (const value of valuesOf(lines, "Timer", "OnCalendar"))
    found.push({ path: [...path], kind: "calendar event", name: value, says: value });
  // Whoever says that it may be missing is believed.
  const conditions = lines.some(({ key }) => /^(Condition|Assert)(Path|File)/.test(key));
  const hasRoot = lines.some(({ key }) => ["RootDirectory", "RootImage"].includes(key));
  for (const command of commands.flatMap((key) => valuesOf(lines, "Service", key))) {
    const name = programOf(command);
    if (name !== undefined && !conditions && !hasRoot && isOwn(name, spec))
      found.push({ path: [...path], kind: "program", name, says: command });
  }
  const dynamic = valuesOf(lines, "Service", "DynamicUser").some((value) => /^(yes|true|on|1)$/i.test(value));
  for (const [key, kind] of [
    ["User", "user"],
    ["Group", "group"],
  ] as const) {
    const name = dynamic ? undefined : valuesOf(lines, "Service", key).at(-1);
    if (name !== undefined && !declared.has(name) && !/^\d+$|[%$]/.test(name))
      found.push({ path: [...path], kind, name, says: name });
  }
  return found;
}

/** Whether a program is of the new system itself, and so has to be there when it is built. */
function isOwn(program: string, { storage }: Spec): boolean {
  const kept = storage === undefined ? [] : mountsOf(storage).filter((mounted) => mounted.kept);
  return ![...elsewhere, ...kept.map(({ mount }) => mount)].some(
    (place) => program === place || program.startsWith(`${place}/`),
  );
}
