import { readFileSync } from "node:fs";
import type { Duplex } from "node:stream";
import ssh2, { type Client, type ConnectConfig } from "ssh2";
import { Fail } from "../util/fail.ts";
import { fingerprint, hostName, judge, knownTypes, parseKnownHosts } from "./known-hosts.ts";
import type { HostSettings } from "./settings.ts";

const keepAliveMs = 10_000;
const keepAliveMisses = 4;
/** ssh2's names of host key algorithms by the type that known_hosts names. */
const algorithmsOf: Readonly<Record<string, readonly string[]>> = {
  "ssh-ed25519": ["ssh-ed25519"],
  "ecdsa-sha2-nistp256": ["ecdsa-sha2-nistp256"],
  "ecdsa-sha2-nistp384": ["ecdsa-sha2-nistp384"],
  "ecdsa-sha2-nistp521": ["ecdsa-sha2-nistp521"],
  "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256"],
};

export interface DialOptions {
  /** "ssh-ed25519 AAAA…": these host keys and no others; known_hosts is not asked. */
  readonly pins?: readonly string[];
  /** A private key that is used alone. */
  readonly key?: string;
  readonly askPassphrase?: (file: string) => Promise<{ expose(): Uint8Array }>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** The way there, through a jump host. */
  readonly through?: Duplex;
}

/** Opens one authenticated connection; the host's key is judged before anything of ours is shown to it. */
export async function dial(settings: HostSettings, options: DialOptions): Promise<Client> {
  options.signal.throwIfAborted();
  const name = hostName(settings.address, settings.port);
  const known = options.pins ?? [];
  const entries = settings.knownHostsFiles.flatMap((file) => parseKnownHosts(readOr(file), file));
  const types =
    options.pins === undefined ? knownTypes(entries, name) : known.map((pin) => pin.split(" ")[0]!);
  let refusal: Fail | undefined;
  const verify = (key: Buffer): boolean => {
    refusal =
      options.pins === undefined ? judged(entries, name, settings, key) : pinned(options.pins, settings, key);
    return refusal === undefined;
  };
  const algorithms = types.flatMap((type) => algorithmsOf[type] ?? []);
  const config: ConnectConfig = {
    host: settings.address,
    port: settings.port,
    username: settings.user,
    readyTimeout: options.timeoutMs,
    keepaliveInterval: keepAliveMs,
    keepaliveCountMax: keepAliveMisses,
    // Anything but the boolean true is false: an object or a promise must never pass for a yes.
    hostVerifier: (key: Buffer) => verify(key) === true,
    authHandler: (await authMethods(settings, options)) as never,
    ...(algorithms.length === 0 ? {} : { algorithms: { serverHostKey: [...new Set(algorithms)] as never } }),
    ...(options.through === undefined ? {} : { sock: options.through as never }),
  };
  const client = new ssh2.Client();
  return await new Promise<Client>((resolve, reject) => {
    const timer = setTimeout(
      () =>
        fail(new Fail(`${settings.name} did not answer within ${Math.round(options.timeoutMs / 1000)} s`)),
      options.timeoutMs,
    );
    const onAbort = () => fail(options.signal.reason);
    const fail = (error: unknown) => {
      clearTimeout(timer);
      options.signal.removeEventListener("abort", onAbort);
      client.destroy();
      reject(error);
    };
    options.signal.addEventListener("abort", onAbort, { once: true });
    client.once("ready", () => {
      clearTimeout(timer);
      options.signal.removeEventListener("abort", onAbort);
      resolve(client);
    });
    client.on("error", (error: Error & { level?: string }) => fail(refusal ?? explain(error, settings)));
    client.once("close", () => fail(refusal ?? new Fail(`${settings.name} closed the connection`)));
    try {
      client.connect(config);
    } catch (error) {
      fail(explain(error as Error, settings));
    }
  });
}

function judged(
  entries: ReturnType<typeof parseKnownHosts>,
  name: string,
  settings: HostSettings,
  key: Buffer,
): Fail | undefined {
  const verdict = judge(entries, name, key);
  if (verdict.kind === "known") return undefined;
  const shown = `${settings.name} shows the host key ${fingerprint(key)}`;
  if (verdict.kind === "unknown")
    return new Fail(`${shown}, which is not known`, {
      hint: `compare it with the host's own, then log in once with ssh, or add it: ssh-keyscan -p ${settings.port} ${settings.address} >> ~/.ssh/known_hosts`,
    });
  const where = `${verdict.at.file}:${verdict.at.line}`;
  return verdict.kind === "revoked"
    ? new Fail(`${shown}, which ${where} marks as revoked`)
    : new Fail(`${shown}, but ${where} has another`, {
        hint: "somebody may be in between, or the host was made anew; find out before you change known_hosts",
      });
}

function pinned(pins: readonly string[], settings: HostSettings, key: Buffer): Fail | undefined {
  const presented = key.toString("base64");
  if (pins.some((pin) => pin.split(" ")[1] === presented)) return undefined;
  return new Fail(`${settings.name} shows the host key ${fingerprint(key)}, not the one that is expected`);
}

/** Keys in the order in which ssh tries them: given, files, agent. */
async function authMethods(settings: HostSettings, options: DialOptions): Promise<object[]> {
  const { user: username } = settings;
  if (options.key !== undefined) return [{ type: "publickey", username, key: options.key }];
  const methods: object[] = [];
  for (const file of settings.identityFiles) {
    const text = readOr(file);
    if (text === "") continue;
    let parsed = ssh2.utils.parseKey(text);
    if (
      parsed instanceof Error &&
      /encrypted|passphrase/i.test(parsed.message) &&
      options.askPassphrase !== undefined
    ) {
      if (settings.agent !== undefined) continue;
      const passphrase = await options.askPassphrase(file);
      parsed = ssh2.utils.parseKey(text, Buffer.from(passphrase.expose()));
      if (parsed instanceof Error) throw new Fail(`the passphrase does not open ${file}`);
    }
    if (parsed instanceof Error) continue;
    methods.push({ type: "publickey", username, key: Array.isArray(parsed) ? parsed[0] : parsed });
  }
  if (settings.agent !== undefined && !settings.identitiesOnly)
    methods.push({ type: "agent", username, agent: settings.agent });
  else if (settings.agent !== undefined && methods.length === 0)
    methods.push({ type: "agent", username, agent: settings.agent });
  if (methods.length === 0)
    throw new Fail(`there is no key to log in to ${settings.name} with`, {
      hint: "name one with --ssh-key, or start ssh-agent and `ssh-add` it",
    });
  return methods;
}

function explain(error: Error & { level?: string; code?: string }, settings: HostSettings): Fail {
  if (error instanceof Fail) return error;
  if (error.level === "client-authentication")
    return new Fail(`${settings.name} does not let ${settings.user} in with any key at hand`, {
      hint: "name user or key: user@host, --ssh-key FILE, or ssh_config",
    });
  return new Fail(
    `cannot connect to ${settings.name} (${settings.address}:${settings.port}): ${error.message}`,
    {
      cause: error,
    },
  );
}

function readOr(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
