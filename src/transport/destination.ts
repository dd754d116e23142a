import { readdirSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { basename, dirname, isAbsolute, join } from "node:path";
import SSHConfig from "ssh-config";
import { Fail, messageOf, reasonOf } from "../util/fail.ts";

/** Where to connect to and how to log in, as ssh_config says for a target. */
export interface Destination {
  /** As the user wrote it, without user and port. */
  readonly alias: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Its name in known_hosts. */
  readonly keyName: string;
  readonly identityFiles: readonly string[];
  readonly identitiesOnly: boolean;
  /** Path of the agent's socket; undefined for none. */
  readonly agent: string | undefined;
  readonly knownHostsFiles: readonly string[];
  /** Targets to go through, the nearest first. */
  readonly jumps: readonly string[];
}

export interface DestinationOptions {
  readonly sshConfigFile?: string | undefined;
  readonly knownHostsFiles?: readonly string[] | undefined;
  readonly agent?: string | undefined;
  readonly home: string;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
}

const maxIncludeDepth = 16;
const defaultIdentities = ["id_ed25519", "id_ecdsa", "id_rsa"];

/** Resolves `[user@]name[:port]` or an alias. `user` and `port` in the options win over the target's, these over ssh_config's. */
export function resolveTarget(target: string, options: DestinationOptions): Destination {
  const { user, name, port: own } = parseTarget(target);
  const port = options.port ?? own;
  const config = computeConfig(name, options, user);
  const firstOf = (key: string) => [config[key] ?? []].flat()[0];
  const local = userInfo().username;
  const alias = name;
  const host = (firstOf("hostname") ?? name).replaceAll("%h", name).replaceAll("%%", "%");
  const login = options.user ?? user ?? firstOf("user") ?? local;
  const portNumber = port ?? Number(firstOf("port") ?? 22);
  if (!Number.isInteger(portNumber) || portNumber < 1 || portNumber > 65535)
    throw new Fail(`port ${port ?? firstOf("port")} of ${alias} is not a port`, {
      hint: port === undefined ? "correct Port in your ssh_config" : "a port is a number from 1 to 65535",
    });
  const path = (text: string) => {
    const tokens: Record<string, string> = {
      "%": "%",
      h: host,
      n: alias,
      u: local,
      r: login,
      d: options.home,
      p: String(portNumber),
    };
    const full = text
      .replace(/^~(?=\/|$)/, options.home)
      .replace(/%(.)/g, (whole, letter: string) => tokens[letter] ?? whole);
    return isAbsolute(full) ? full : join(options.home, full);
  };
  const command = firstOf("proxycommand");
  if (command !== undefined && command.toLowerCase() !== "none" && config.proxyjump === undefined)
    throw new Fail(`${alias} is reached by a ProxyCommand, which imgbuild does not run`, {
      hint: "use ProxyJump in your ssh_config",
    });
  const jump = firstOf("proxyjump");
  const files = config.identityfile;
  const agent = firstOf("identityagent");
  return {
    alias,
    host,
    port: portNumber,
    user: login,
    keyName: firstOf("hostkeyalias") ?? host,
    identityFiles:
      files === undefined
        ? defaultIdentities.map((file) => join(options.home, ".ssh", file))
        : [files]
            .flat()
            .filter((file) => file.toLowerCase() !== "none")
            .map(path),
    identitiesOnly: firstOf("identitiesonly")?.toLowerCase() === "yes",
    agent:
      agent === undefined || /^\$?\{?SSH_AUTH_SOCK\}?$/.test(agent)
        ? options.agent
        : agent.toLowerCase() === "none"
          ? undefined
          : path(agent),
    knownHostsFiles: options.knownHostsFiles ?? [
      ...[config.userknownhostsfile ?? ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]].flat().map(path),
      ...[config.globalknownhostsfile ?? "/etc/ssh/ssh_known_hosts"].flat().map(path),
    ],
    jumps:
      jump === undefined || jump.toLowerCase() === "none" ? [] : jump.split(",").map((each) => each.trim()),
  };
}

/** Splits a target; an IPv6 address with a port is "[address]:port". */
export function parseTarget(target: string): { user?: string; name: string; port?: number } {
  const match =
    /^(?:ssh:\/\/)?(?:([^@\s]+)@)?(?:\[([0-9a-fA-F:.%\w]+)\]|([^@[\]:\s]+)|([0-9a-fA-F]*:[0-9a-fA-F:.%\w]*:[0-9a-fA-F:.%\w]*))(?::(\d{1,5}))?$/.exec(
      target,
    );
  const name = match?.[2] ?? match?.[3] ?? match?.[4];
  // A leading "-" would be an option to every tool that gets the name.
  if (name === undefined || name.startsWith("-"))
    throw new Fail(`${target} is not a target; [user@]name[:port] or an alias of ssh_config is accepted`);
  const user = match![1];
  const port = match![5];
  return {
    name,
    ...(user === undefined ? {} : { user }),
    ...(port === undefined ? {} : { port: Number(port) }),
  };
}

/** Keys in lower case; the first value wins, as in ssh. `Match exec` is not run: reading a configuration starts no program. */
function computeConfig(
  name: string,
  options: DestinationOptions,
  user: string | undefined,
): Record<string, string | string[]> {
  const own = options.sshConfigFile;
  const text =
    own === undefined
      ? `${load(join(options.home, ".ssh/config"), options.home, false)}\nHost *\n${load("/etc/ssh/ssh_config", options.home, false)}`
      : load(own, options.home, true);
  try {
    const parsed = SSHConfig.parse(text);
    const login = options.user ?? user;
    return parsed.compute(login === undefined ? { Host: name } : { Host: name, User: login }, {
      ignoreCase: true,
      matchExec: false,
    }) as Record<string, string | string[]>;
  } catch (error) {
    throw new Fail(`your ssh_config cannot be read: ${messageOf(error)}`, {
      cause: error,
      hint: "`ssh -G NAME` shows more",
    });
  }
}

/** A file with its includes in place; the section of an Include continues after it. */
function load(file: string, home: string, required: boolean, depth = 0): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (!required && (error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw new Fail(`${file} cannot be read: ${reasonOf(error)}`, {
      cause: error,
      hint: "name an existing ssh_config by --ssh-config",
    });
  }
  if (depth > maxIncludeDepth) throw new Fail(`${file}: Include goes deeper than ${maxIncludeDepth} files`);
  let section = "Host *";
  return text
    .split("\n")
    .map((line) => {
      if (/^\s*(host|match)[\s=]/i.test(line)) section = line;
      // It asks a resolver from inside the parser; the name is used as it is instead.
      if (/^\s*canonicalizehostname[\s=]/i.test(line)) return "";
      const include = /^\s*include[\s=]+(.*)$/i.exec(line);
      if (include === null) return line;
      const found = include[1]!
        .trim()
        .split(/\s+/)
        .flatMap((pattern) => expand(pattern.replaceAll('"', ""), dirname(file), home));
      return [...found.map((path) => load(path, home, false, depth + 1)), section].join("\n");
    })
    .join("\n");
}

/** Relative names are below ~/.ssh, or /etc/ssh for the system's file; only the last part may hold * and ?. */
function expand(pattern: string, from: string, home: string): string[] {
  const base = from.startsWith("/etc/ssh") ? "/etc/ssh" : join(home, ".ssh");
  const path = pattern.startsWith("~/")
    ? join(home, pattern.slice(2))
    : isAbsolute(pattern)
      ? pattern
      : join(base, pattern);
  if (!/[*?]/.test(path)) return [path];
  const source = basename(path)
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  try {
    return readdirSync(dirname(path))
      .filter((entry) => new RegExp(`^${source}$`).test(entry))
      .sort()
      .map((entry) => join(dirname(path), entry));
  } catch {
    return [];
  }
}
