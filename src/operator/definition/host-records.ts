import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { Fail, reasonOf } from "../../util/fail.ts";
import { nearest, type Problem, showPath } from "../../util/problem.ts";
import { showPlace } from "./evaluate.ts";
import { repositoryAbove } from "./imports.ts";
import { checkBySchema } from "./problems.ts";

const fileName = "hosts.yaml";
const maxBytes = 1024 * 1024;

const HostKey = z
  .string()
  .regex(/^(SHA256:[A-Za-z0-9+/]{43}|(ssh-ed25519|ecdsa-sha2-nistp\d+|ssh-rsa) [A-Za-z0-9+/]+=*( .*)?)$/, {
    error:
      "a fingerprint such as `SHA256:…`, as `ssh-keygen -l` shows it, or a public key `ssh-ed25519 AAAA…`",
  });
const Address = z.string().regex(/^[^\s-]\S*$/, {
  error: "`[user@]name[:port]`, or an alias of your ssh_config",
});
const Below = z.string().refine((path) => /^[^/]/.test(path) && !path.split("/").includes(".."), {
  error: `a path below the directory of ${fileName}`,
});
const Named = z.string().min(1);

/** What a repository knows of a host, beside its definition. */
const Entry = z.preprocess(
  (given) => given ?? {},
  z.strictObject({
    definition: Below.optional(),
    address: Address.optional(),
    hostKeys: z.array(HostKey).min(1).optional(),
    mayWipe: z.array(Named).optional(),
    login: Named.optional(),
    escrow: Below.optional(),
    parameters: z.record(z.string(), z.unknown()).optional(),
  }),
);
/** Without slash, dot and @, which paths and addresses have. */
const nameForm = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const Name = z.string().regex(nameForm, { error: "a name of lower-case letters, digits and dashes" });
const HostsFile = z.strictObject({ hosts: z.record(Name, Entry) });

export interface HostRecord {
  readonly name: string;
  /** Absolute path of the directory with its IMGBUILD.ts, or of the file. */
  readonly definition: string;
  /** `[user@]name[:port]`, or an alias of ssh_config. */
  readonly address: string;
  /** The only host keys to accept of the system that runs there: public keys, or fingerprints. */
  readonly hostKeys?: readonly string[];
  /** Serials, or what stands for them, of the disks that a deploy may write; any where it is not said. */
  readonly mayWipe?: readonly string[];
  /** User of the new system to verify it with. */
  readonly login?: string;
  /** Absolute path of the directory in which a deploy keeps host keys and machine-id, encrypted. */
  readonly escrow?: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** "hosts.yaml:3", the line that says what is at a path of the record. */
  place(...path: readonly (string | number)[]): string;
}

/** A word that can be a host's name. */
export function isHostName(word: string): boolean {
  return nameForm.test(word);
}

/** The records of the hosts.yaml at or above a directory, within its git repository; without git, of the directory alone. */
export async function hostRecords(
  directory: string,
): Promise<{ readonly file: string; readonly hosts: readonly HostRecord[] } | undefined> {
  const file = hostsFile(directory);
  if (file === undefined) return undefined;
  const text = textOf(file);
  if (text.length > maxBytes) throw new Fail(`${file} has more than ${maxBytes} bytes`);
  const { parseStrictYaml } = await import("./strict-yaml.ts");
  const read = parseStrictYaml(text);
  if ("problem" in read)
    throw refusal([`${showPlace({ file, line: read.problem.line })}: ${read.problem.message}`]);
  const checked = checkBySchema(HostsFile, read.data);
  const place = (path: readonly (string | number)[]) => showPlace({ file, line: read.lineOf(path) });
  if ("problems" in checked) throw refusal(checked.problems.map((problem) => lineFor(problem, place)));
  const hosts = Object.entries(checked.data.hosts).map(([name, entry]): HostRecord => {
    const { hostKeys, mayWipe, login, escrow } = entry;
    return {
      name,
      definition: resolve(dirname(file), entry.definition ?? join("hosts", name)),
      address: entry.address ?? name,
      ...(hostKeys === undefined ? {} : { hostKeys }),
      ...(mayWipe === undefined ? {} : { mayWipe }),
      ...(login === undefined ? {} : { login }),
      ...(escrow === undefined ? {} : { escrow: resolve(dirname(file), escrow) }),
      parameters: entry.parameters ?? {},
      place: (...path) => place(["hosts", name, ...path]),
    };
  });
  return { file, hosts };
}

/** What is wrong with a host's parameters, where they are written. */
export function parameterRefusal({ place }: HostRecord, problems: readonly Problem[]): Fail {
  return refusal(
    problems.map((problem) =>
      lineFor({ ...problem, path: ["parameters", ...problem.path] }, (path) => place(...path)),
    ),
  );
}

/** The record of that name; undefined where there is none. */
export async function hostNamed(name: string, directory: string): Promise<HostRecord | undefined> {
  if (!isHostName(name)) return undefined;
  return (await hostRecords(directory))?.hosts.find((host) => host.name === name);
}

/** The host whose definition is meant by its name. A path of the same name has to be the host's definition, or nothing says which is meant. */
export async function definitionOf(word: string, directory: string): Promise<HostRecord | undefined> {
  const host = await hostNamed(word, directory);
  const path = resolve(directory, word);
  if (host === undefined || !existsSync(path)) return host;
  if (existsSync(host.definition) && realpathSync(path) === realpathSync(host.definition)) return host;
  throw new Fail(`${word} is a host at ${host.place()}, and another definition or file here`, {
    hint: `write ./${word} for the one here; name the host from another directory`,
  });
}

/** What is said where a word is neither a definition nor a host. */
export async function noSuchHost(word: string, directory: string): Promise<string | undefined> {
  const found = isHostName(word) ? await hostRecords(directory) : undefined;
  if (found === undefined) return undefined;
  const names = found.hosts.map(({ name }) => name);
  const meant = nearest(word, names);
  return meant === undefined
    ? `the hosts of ${found.file} are ${names.join(", ") || "none"}`
    : `did you mean ${meant}, a host of ${found.file}`;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new Fail(`${file} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}

function hostsFile(directory: string): string | undefined {
  const from = realpathSync(directory);
  const top = repositoryAbove(from) ?? from;
  for (let at = from; ; at = dirname(at)) {
    if (existsSync(join(at, fileName))) return join(at, fileName);
    if (at === top) return undefined;
  }
}

function lineFor({ path, message }: Problem, place: (path: readonly (string | number)[]) => string): string {
  return `${place(path)}: ${path.length === 0 ? "" : `${showPath(path)}: `}${message}`;
}

function refusal(lines: readonly string[]): Fail {
  return new Fail(lines.join("\n"), { hint: `correct ${fileName}; docs/HOSTS.md explains each field` });
}
