import type { Stats } from "node:fs";
import { z } from "zod";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { type Problem, WrongFields } from "../../util/problem.ts";
import { defineStep, type StepContext } from "../step/step.ts";

const Expectation = z.strictObject({
  /** The field of the definition that says it. */
  path: z.array(z.union([z.string(), z.int()])),
  kind: z.enum([
    "time zone",
    "locale",
    "user",
    "group",
    "unit",
    "program",
    "calendar event",
    "kernel module",
    "sshd configuration",
    "nftables rules",
    "tmpfiles.d lines",
  ]),
  name: z.string(),
  /** As it is written there, where the field itself may be made by a function. */
  says: z.string().optional(),
});
export type Expectation = z.output<typeof Expectation>;

const moduleDirectory = "/usr/lib/modules";
const calendarMs = 30_000;
const programPath = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const unitPath = [
  "/etc/systemd/system",
  "/run/systemd/system",
  "/usr/local/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/lib/systemd/system",
];

/** Looks whether the tree has what the definition names in it; all that it lacks is shown at once. */
export const checkTree = defineStep({
  kind: "check-tree",
  summary: "look whether the tree has what the definition names",
  schema: z.strictObject({ expected: z.array(Expectation) }),
  run: async ({ expected }, context) => {
    const problems: Problem[] = [];
    for (const { path, kind, name, says } of expected) {
      const message = await problemOf(kind, name, context);
      if (message !== undefined) problems.push({ path, message, says });
    }
    if (problems.length > 0) throw new WrongFields(problems);
  },
});

async function problemOf(
  kind: Expectation["kind"],
  name: string,
  context: StepContext,
): Promise<string | undefined> {
  const { root } = context;
  switch (kind) {
    case "time zone":
      return zoneProblem(root, name);
    case "locale":
      return localeProblem(root, name);
    case "user":
      if (namesIn(root, "/etc/passwd").includes(name) || sysusers(root, "u").includes(name)) return undefined;
      return `the system has no user ${name}; declare it under \`users\`, or install the package that makes it`;
    case "group":
      if (namesIn(root, "/etc/group").includes(name) || sysusers(root, "[ug]").includes(name))
        return undefined;
      return `the system has no group ${name}; install the package that makes it`;
    case "unit":
      return hasUnit(root, name)
        ? undefined
        : `the system has no unit ${name}; install its package, or declare it with \`unit\``;
    case "program":
      return programProblem(root, name);
    case "calendar event":
      return await calendarProblem(name, context);
    case "kernel module":
      return moduleProblem(root, name);
    case "sshd configuration":
    case "nftables rules":
    case "tmpfiles.d lines":
      return await readerProblem(kind, name, context);
  }
}

function zoneProblem(root: string, name: string): string | undefined {
  if (find(root, "/usr/share/zoneinfo") === undefined)
    return `${name} needs the package \`tzdata\` in packages.install`;
  const found = find(root, `/usr/share/zoneinfo/${name}`);
  return found?.isFile() ? undefined : `${name} is no time zone; see timedatectl list-timezones`;
}

function localeProblem(root: string, name: string): string | undefined {
  const supported = read(root, "/usr/share/i18n/SUPPORTED").split("\n");
  const known = supported.some((line) => line.split(" ")[0] === name);
  return known ? undefined : `${name} is no locale of the package \`locales\`; see /usr/share/i18n/SUPPORTED`;
}

function programProblem(root: string, name: string): string | undefined {
  const places = name.startsWith("/") ? [name] : programPath.map((directory) => `${directory}/${name}`);
  const found = places.flatMap((path) => find(root, path) ?? []);
  if (found.length === 0)
    return `the system has no program ${name}; install its package, or place it by \`files\``;
  return found.some((entry) => entry.isFile() && (entry.mode & 0o111) !== 0)
    ? undefined
    : `${name} cannot be run: it is no program, or lacks mode 0755`;
}

/** By name, or by an alias; a tree without a kernel runs with another's. */
function moduleProblem(root: string, name: string): string | undefined {
  const kernels = list(root, moduleDirectory);
  // The kernel takes both signs for the same.
  const form = name.replaceAll(/[-_]/g, "[-_]");
  const known = new RegExp(`/${form}\\.ko\\b|^alias ${form} `, "m");
  const indices = kernels.flatMap((kernel) =>
    ["modules.dep", "modules.builtin", "modules.alias"].map((file) => `${moduleDirectory}/${kernel}/${file}`),
  );
  return kernels.length === 0 || indices.some((index) => known.test(read(root, index)))
    ? undefined
    : `no kernel of the system has a module ${name}`;
}

/** The tree's own programs have the last word on what they read; `unable` are lines of those that could not read it. */
const readers = {
  "sshd configuration": { argv: ["sshd", "-G", "-f"], unable: /^unknown option|^OpenSSH_|^usage:|^\s+\[/ },
  // It reads the rules first. Then it would try them, for which it has no rights over a network here; it also shows the line.
  "nftables rules": {
    argv: ["nft", "--check", "--file"],
    unable: /Operation not permitted$|^(?!.*\bError: )/,
  },
  "tmpfiles.d lines": { argv: ["systemd-tmpfiles", "--dry-run", "--create"], unable: /unrecognized option/ },
} as const;
const readerMs = 60_000;

async function readerProblem(
  kind: keyof typeof readers,
  file: string,
  context: StepContext,
): Promise<string | undefined> {
  const { argv, unable } = readers[kind];
  const [program] = argv;
  const lacks = programProblem(context.root, program);
  if (lacks !== undefined) return lacks;
  const { code, stderr } = await context.chroot([...argv, file], {
    accept: "any",
    timeoutMs: readerMs,
  });
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  const wrong = lines.find((line) => !unable.test(line));
  if (code === 0 || (wrong === undefined && lines.length > 0)) return undefined;
  return `${program} does not take ${file}: ${wrong ?? `exit code ${code}`}`;
}

/** A unit by its file, its template's, or an old init script that systemd makes a service of. */
function hasUnit(root: string, name: string): boolean {
  const names = [name, name.replace(/@.*(?=\.[a-z]+$)/, "@")];
  const script = /^(.+)\.service$/.exec(name)?.[1];
  return (
    unitPath.some((directory) => names.some((name) => isThere(root, `${directory}/${name}`))) ||
    (script !== undefined && isThere(root, `/etc/init.d/${script}`))
  );
}

/** systemd in the tree has the last word, also about time zones. */
async function calendarProblem(text: string, context: StepContext): Promise<string | undefined> {
  if (find(context.root, "/usr/bin/systemd-analyze") === undefined) return undefined;
  const { code, stderr } = await context.chroot(["systemd-analyze", "calendar", "--", text], {
    accept: [0, 1],
    timeoutMs: calendarMs,
  });
  return code === 0 ? undefined : `${text} is no calendar event: ${stderr.trim().split("\n")[0]}`;
}

function namesIn(root: string, file: string): string[] {
  return read(root, file)
    .split("\n")
    .map((line) => line.split(":")[0]!);
}

/** Names that systemd-sysusers makes at the next start. */
function sysusers(root: string, types: string): string[] {
  const line = new RegExp(`^${types}!?\\s+(\\S+)`, "gm");
  return ["/usr/lib/sysusers.d", "/etc/sysusers.d"].flatMap((directory) =>
    list(root, directory)
      .filter((name) => name.endsWith(".conf"))
      .flatMap((name) => [...read(root, `${directory}/${name}`).matchAll(line)].map((match) => match[1]!)),
  );
}

function read(root: string, path: string): string {
  return find(root, path)?.isFile() ? (new Tree(root).text(path) ?? "") : "";
}

function list(root: string, path: string): string[] {
  return new Tree(root).list(path).sort();
}

/** Links lead to /dev/null where a unit is masked, or to what a generator makes. */
function isThere(root: string, path: string): boolean {
  return new Tree(root).stat(path) !== undefined;
}

function find(root: string, path: string): Stats | undefined {
  try {
    return new Tree(root).find(path);
  } catch (error) {
    // Links in a circle lead to nothing.
    if (error instanceof Fail) return undefined;
    throw error;
  }
}
