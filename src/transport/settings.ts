import { readFileSync } from "node:fs";
import { join } from "node:path";
import SSHConfig from "ssh-config";
import { Fail } from "../util/fail.ts";

/** What is to be known of one host before it is dialled. */
export interface HostSettings {
  /** As the user named it, for messages. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly identityFiles: readonly string[];
  /** Only the identity files named, no other keys of the agent. */
  readonly identitiesOnly: boolean;
  readonly agent: string | undefined;
  readonly knownHostsFiles: readonly string[];
  /** Hosts to go through, the nearest first. */
  readonly jumps: readonly string[];
}

export interface SettingsOptions {
  readonly home: string;
  readonly sshConfigFile?: string;
  readonly knownHostsFiles?: readonly string[];
  readonly keyFiles?: readonly string[];
  readonly agent?: string;
  readonly user?: string;
}

const defaultKeys = ["id_ed25519", "id_ecdsa", "id_rsa"];

/** `[user@]name[:port]`, `[v6]:port`, or an alias of ssh_config. */
export function parseTarget(target: string): { user?: string; name: string; port?: number } {
  const match = /^(?:([^@\s]+)@)?(?:\[([0-9A-Fa-f:.%]+)\]|([^@:\s[\]]+))(?::([0-9]{1,5}))?$/.exec(target);
  const bare = /^(?:([^@\s]+)@)?([0-9A-Fa-f:]+:[0-9A-Fa-f:.]*)$/.exec(target);
  const found = match ?? bare;
  const name = match === null ? bare?.[2] : (match[2] ?? match[3]);
  if (found === null || name === undefined || name.startsWith("-"))
    throw new Fail(
      `${JSON.stringify(target)} names no host; [user@]name[:port] or an ssh_config alias is accepted`,
    );
  const port = match?.[4] === undefined ? undefined : Number(match[4]);
  if (port !== undefined && (port < 1 || port > 65535))
    throw new Fail(`port ${port} of ${target} is out of range`);
  return {
    name,
    ...(found[1] === undefined ? {} : { user: found[1] }),
    ...(port === undefined ? {} : { port }),
  };
}

/** Lays ssh_config under what the target itself and the options say. */
export function settingsOf(target: string, options: SettingsOptions): HostSettings {
  const { user, name, port } = parseTarget(target);
  const config = readConfig(options);
  // `Match exec` would run programs; it is refused rather than half understood.
  const computed = config.compute(name);
  const all = (key: string): string[] => {
    const value = lookup(computed, key);
    return value === undefined ? [] : Array.isArray(value) ? value : [value];
  };
  const one = (key: string) => all(key)[0];
  const tilde = (path: string) => path.replace(/^~(?=\/)/, options.home).replaceAll("%d", options.home);
  const identityFiles = [...(options.keyFiles ?? []), ...all("IdentityFile").map(tilde)];
  const agentSetting = one("IdentityAgent");
  const agent =
    agentSetting === undefined || agentSetting === "SSH_AUTH_SOCK" ? options.agent : tilde(agentSetting);
  const knownHosts =
    options.knownHostsFiles ??
    one("UserKnownHostsFile")?.split(/\s+/).map(tilde) ??
    ["known_hosts", "known_hosts2"].map((file) => join(options.home, ".ssh", file));
  return {
    name: target,
    address: (one("HostName") ?? name).replaceAll("%h", name),
    port: port ?? Number(one("Port") ?? 22),
    user: options.user ?? user ?? one("User") ?? "root",
    identityFiles:
      identityFiles.length > 0 ? identityFiles : defaultKeys.map((file) => join(options.home, ".ssh", file)),
    identitiesOnly: one("IdentitiesOnly")?.toLowerCase() === "yes",
    agent: agent === "none" ? undefined : agent,
    knownHostsFiles:
      options.knownHostsFiles === undefined ? [...knownHosts, "/etc/ssh/ssh_known_hosts"] : knownHosts,
    jumps: jumpsOf(one("ProxyJump")),
  };
}

function jumpsOf(value: string | undefined): string[] {
  return value === undefined || value.toLowerCase() === "none"
    ? []
    : value.split(",").map((jump) => jump.trim());
}

function lookup(computed: Record<string, string | string[]>, key: string): string | string[] | undefined {
  const found = Object.keys(computed).find((each) => each.toLowerCase() === key.toLowerCase());
  return found === undefined ? undefined : computed[found];
}

function readConfig({ home, sshConfigFile }: SettingsOptions): SSHConfig {
  const file = sshConfigFile ?? join(home, ".ssh/config");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (sshConfigFile === undefined && (error as NodeJS.ErrnoException).code === "ENOENT") text = "";
    else throw new Fail(`cannot read ${file}: ${(error as Error).message}`);
  }
  if (/^\s*match\s.*\bexec\b/im.test(text))
    throw new Fail(`${file} has a "Match exec", which is not supported`, {
      hint: "give another file with --ssh-config",
    });
  try {
    return SSHConfig.parse(text);
  } catch (error) {
    throw new Fail(`${file} cannot be read: ${(error as Error).message}`);
  }
}
