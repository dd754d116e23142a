import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { recipientsIn } from "../../secrets/identity.ts";
import { requireParent } from "../../system/files/parent.ts";
import { isPlainKey } from "../../transport/keys.ts";
import { type HostScript, scriptArgv } from "../../transport/script.ts";
import { Fail } from "../../util/fail.ts";
import { deployWorld, type LoginOptions, type Outside } from "../deploy/inputs.ts";
import { inspect } from "../inspect/inspect.ts";
import { defaultIdentity, makeIdentity } from "../secrets/default-identity.ts";
import { type Answers, answersFor, hostnameFrom, noHost } from "./answers.ts";
import { repositoryFiles } from "./repository.ts";

export interface InitOptions extends LoginOptions {
  readonly hostname?: string;
  /** A host to look at; nothing is changed on it. */
  readonly from?: string;
  /** A file with the administrator's public keys. */
  readonly key?: string;
}

const smallMs = 60_000;
const top = fileURLToPath(new URL("../../..", import.meta.url));
const wordsScript: HostScript = {
  name: "describe",
  text: [
    'cat /etc/timezone 2>/dev/null || readlink /etc/localtime 2>/dev/null | sed "s|.*/zoneinfo/||" || true',
    "echo @packages",
    "apt-mark showmanual 2>/dev/null || true",
    "echo @keys",
    'cat "$HOME/.ssh/authorized_keys" 2>/dev/null || true',
  ].join("\n"),
};

/** Writes the repository of a server into a new or empty directory; gives its files and what was found and left out. */
export async function initRepository(
  directory: string,
  options: InitOptions,
  outside: Outside,
): Promise<{
  readonly files: readonly string[];
  readonly notes: readonly string[];
  readonly identity: string;
}> {
  await requireParent(directory);
  await requireEmpty(directory);
  const identity = defaultIdentity(outside.env);
  if (identity === undefined)
    throw new Fail("there is no home to keep an age identity in", { hint: "set HOME or XDG_CONFIG_HOME" });
  const answers = await answersOf(directory, options, outside);
  await mkdir(join(directory, "files"), { recursive: true });
  const recipients = await ownRecipients(identity);
  const files = repositoryFiles(answers, { imgbuild: ownPackage(), recipients });
  for (const [path, content] of files) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content, { flag: "wx" });
  }
  const encrypted = `${identity} is encrypted: put its recipient into secrets/recipients`;
  return {
    files: [...files.keys()].map((path) => join(directory, path)),
    notes: recipients.length === 0 ? [...answers.notes, encrypted] : answers.notes,
    identity,
  };
}

async function requireEmpty(directory: string): Promise<void> {
  const found = await stat(directory).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isDirectory())
    throw new Fail(`${directory} is not a directory`, { hint: "name a directory that does not exist yet" });
  const there = await readdir(directory);
  if (there.length > 0)
    throw new Fail(`${directory} is not empty: it holds ${there.slice(0, 3).join(", ")}`, {
      hint: "name a directory that does not exist yet",
    });
}

async function answersOf(directory: string, options: InitOptions, outside: Outside): Promise<Answers> {
  const keys = options.key === undefined ? [] : await keysIn(options.key);
  const answers =
    options.from === undefined
      ? { ...noHost, hostname: hostnameFrom(basename(resolve(directory))) }
      : await lookAt(options.from, options, outside);
  return {
    ...answers,
    ...(options.hostname === undefined ? {} : { hostname: options.hostname }),
    ...(keys.length === 0 ? {} : { keys }),
  };
}

async function keysIn(file: string): Promise<string[]> {
  const keys = (await readFile(file, "utf8")).split("\n").filter(isPlainKey);
  if (keys.length === 0)
    throw new Fail(`${file} has no public key`, { hint: "name a .pub file, or one like authorized_keys" });
  return keys;
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
      const [timezone = "", packages = "", keys = ""] = stdout.split(/^@packages\n|^@keys\n/m);
      return answersFor(facts, {
        timezone: timezone.trim(),
        packages: packages.split("\n").filter((line) => line !== ""),
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

/** Where npm gets this very imgbuild from: what made a checkout's package, or npm's own. */
function ownPackage(): string {
  const { version } = JSON.parse(readFileSync(join(top, "package.json"), "utf8")) as { version: string };
  return existsSync(join(top, "dist/program"))
    ? `^${version}`
    : `file:${join(top, `out/imgbuild-${version}.tgz`)}`;
}
