import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { recipientsIn } from "../../secrets/identity.ts";
import { requireParent } from "../../system/files/parent.ts";
import { isPlainKey } from "../../transport/keys.ts";
import { type HostScript, scriptArgv } from "../../transport/script.ts";
import { Fail } from "../../util/fail.ts";
import { deployWorld, type LoginOptions, type Outside } from "../deploy/inputs.ts";
import { inspect } from "../inspect/inspect.ts";
import { needs } from "../native/doctor.ts";
import { defaultIdentity, makeIdentity } from "../secrets/default-identity.ts";
import { type Answers, answersFor, chosenByHand, hostnameFrom, noHost } from "./answers.ts";
import { type Choices, chosen } from "./choices.ts";
import { askChoices } from "./questions.ts";
import { repositoryFiles } from "./repository.ts";
import { repositoryAround } from "./repository-around.ts";

export interface InitOptions extends LoginOptions, Choices {
  /** A host to look at; nothing is changed on it. */
  readonly from?: string;
}

interface InitOutside extends Outside {
  /** Asks a person. */
  readonly ask?: (question: string) => Promise<string>;
}

/** npm's record of what is in a node_modules. */
const InstalledFrom = z.object({
  packages: z.record(z.string(), z.object({ resolved: z.string().optional() })),
});

const smallMs = 60_000;
const top = fileURLToPath(new URL("../../..", import.meta.url));
const wordsScript: HostScript = {
  name: "describe",
  text: [
    'cat /etc/timezone 2>/dev/null || readlink /etc/localtime 2>/dev/null | sed "s|.*/zoneinfo/||" || true',
    "echo @packages",
    "apt-mark showmanual 2>/dev/null || true",
    "echo @known",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own format
    "dpkg-query --show --showformat '${Package} ${Priority} ${Section}\\n' 2>/dev/null || true",
    "echo @keys",
    'cat "$HOME/.ssh/authorized_keys" 2>/dev/null || true',
  ].join("\n"),
};

/**
 * Writes the repository of a server into a new or empty directory, or the server alone where a repository with a hosts.yaml is
 * around it; gives its files and what was found and left out.
 */
export async function initRepository(
  directory: string,
  options: InitOptions,
  outside: InitOutside,
): Promise<{
  readonly files: readonly string[];
  readonly notes: readonly string[];
  readonly identity: string;
  /** Its name in the hosts.yaml of the repository around it. */
  readonly host: string | undefined;
}> {
  await requireRoom(directory);
  const around = await repositoryAround(directory);
  // A repository's own directory for hosts comes with the first of them; elsewhere a missing one is a slip.
  if (around === undefined) await requireParent(directory);
  const identity = defaultIdentity(outside.env);
  if (identity === undefined)
    throw new Fail("there is no home to keep an age identity in", { hint: "set HOME or XDG_CONFIG_HOME" });
  const answers = await answersOf(directory, options, outside);
  await mkdir(join(directory, "files"), { recursive: true });
  const recipients = await ownRecipients(identity);
  const all = repositoryFiles(answers, {
    imgbuild: ownPackage(),
    recipients,
    login: loginWords(directory, options),
    debianPackages: [...new Set(needs.flatMap(({ use, package: name }) => (use === "tests" ? [] : [name])))],
    npmPackage: await readFile(join(directory, "package.json"), "utf8").catch(() => undefined),
  });
  const files = around?.ownFiles(all) ?? all;
  for (const [path, content] of files) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content, { flag: path === "package.json" ? "w" : "wx" });
  }
  const encrypted = `${identity} is encrypted: put its recipient into secrets/recipients`;
  const entered = around === undefined ? [] : [await around.addRecord(options.from)];
  return {
    files: [...[...files.keys()].map((path) => join(directory, path)), ...entered],
    notes: recipients.length === 0 ? [...answers.notes, encrypted] : answers.notes,
    identity,
    host: around?.name,
  };
}

/** What npm and git have put there before. */
const expected = new Set([".git", "node_modules", "package.json", "package-lock.json"]);

async function requireRoom(directory: string): Promise<void> {
  const found = await stat(directory).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isDirectory())
    throw new Fail(`${directory} is not a directory`, { hint: "name a directory that does not exist yet" });
  const there = (await readdir(directory)).filter((name) => !expected.has(name));
  if (there.length > 0)
    throw new Fail(`${directory} is not empty: it holds ${there.slice(0, 3).join(", ")}`, {
      hint: "name a directory that does not exist yet, or one in which only npm and git have been",
    });
}

async function answersOf(directory: string, options: InitOptions, outside: InitOutside): Promise<Answers> {
  const { from } = options;
  const found =
    from === undefined
      ? { ...noHost, hostname: hostnameFrom(basename(resolve(directory))) }
      : await lookAt(from, options, outside);
  const key = ownKey(outside.env);
  const { ask, interactive, log } = outside;
  const choices =
    interactive && ask !== undefined
      ? await askChoices(options, found, { looked: from !== undefined, key, ask, warn: log.warn })
      : { ...(found.keys.length === 0 && key !== undefined ? { key } : {}), ...options };
  return await chosen(choices, found);
}

/** Of whoever runs this, where OpenSSH puts it. */
function ownKey({ HOME }: InitOutside["env"]): string | undefined {
  if (HOME === undefined) return undefined;
  const names = ["id_ed25519", "id_ecdsa", "id_rsa"].map((name) => join(HOME, ".ssh", `${name}.pub`));
  return names.find((file) => existsSync(file));
}

async function lookAt(name: string, options: InitOptions, outside: Outside): Promise<Answers> {
  const world = deployWorld(name, options, outside, async () => {});
  return await outside.log.task(`looking at ${name}`, async () => {
    const host = await world.connect({});
    try {
      const way = await host.becomeRoot(world.password === undefined ? {} : { askPassword: world.password });
      const facts = await inspect(host, way, world.mirrorsIn, outside.signal);
      const { stdout } = await host.exec(scriptArgv(wordsScript), {
        timeoutMs: smallMs,
        signal: outside.signal,
      });
      const parts = stdout.split(/^@(?:packages|known|keys)\n/m);
      const [timezone = "", packages = "", known = "", keys = ""] = parts;
      return answersFor(facts, {
        timezone: timezone.trim(),
        packages: chosenByHand(packages.split("\n"), known.split("\n")),
        keys: keys.split("\n").filter(isPlainKey),
        openedBy: host.openedBy,
      });
    } finally {
      host.close();
    }
  });
}

/** Those of the identity that this user has; one is made where there is none. */
async function ownRecipients(file: string): Promise<string[]> {
  if (existsSync(file)) return await recipientsIn(await readFile(file, "utf8"));
  return [await makeIdentity(file)];
}

/** The options by which the host was reached, for those who deploy to it; files are named from the repository. */
function loginWords(directory: string, { from, sshConfig, sshKey = [], knownHosts }: InitOptions): string[] {
  if (from === undefined) return [];
  const files = [
    ...(sshConfig === undefined ? [] : [["--ssh-config", sshConfig]]),
    ...sshKey.map((file) => ["--ssh-key", file]),
    ...(knownHosts === undefined ? [] : [["--known-hosts", knownHosts]]),
  ] as [string, string][];
  return files.flatMap(([option, file]) => [option, relative(directory, file)]);
}

/** Where npm gets this very imgbuild from: the file that it was installed from, what a checkout makes, or npm's own. */
function ownPackage(): string {
  const { version } = JSON.parse(readFileSync(join(top, "package.json"), "utf8")) as { version: string };
  if (!existsSync(join(top, "dist/program"))) return `file:${join(top, `out/imgbuild-${version}.tgz`)}`;
  const installed = join(top, "../.package-lock.json");
  const file = existsSync(installed)
    ? InstalledFrom.safeParse(JSON.parse(readFileSync(installed, "utf8")))
    : undefined;
  const resolved = file?.data?.packages["node_modules/imgbuild"]?.resolved;
  return resolved?.startsWith("file:")
    ? `file:${resolve(top, "../..", resolved.slice("file:".length))}`
    : `^${version}`;
}
