import ssh2, {
  type AuthHandlerMiddleware,
  type ParsedKey,
  type SignCallback,
  type SigningRequestOptions,
} from "ssh2";
import { readIfThere } from "../system/files/read-if-there.ts";
import { Fail } from "../util/fail.ts";
import type { Secret } from "../util/secret.ts";
import type { Destination } from "./destination.ts";
import { publicKeyOf } from "./keys.ts";

type AskPassphrase = (keyFile: string) => Promise<Secret>;

export interface LoginOptions {
  /** A private key's text, tried before everything else. */
  readonly key?: string | undefined;
  /** Private key files, tried before those of ssh_config. */
  readonly keyFiles?: readonly string[] | undefined;
  readonly askPassphrase?: AskPassphrase | undefined;
}

const agentMs = 10_000;

/**
 * Offers each key once, in ssh's order: given ones, the agent's, then files. Says at the end what could not be tried, and which
 * public key ("ssh-ed25519 AAAA…") the host was last shown: after a login, the one that opened it.
 */
export function login(
  destination: Destination,
  options: LoginOptions,
): { handler: AuthHandlerMiddleware; skipped: string[]; shown: () => string } {
  const skipped: string[] = [];
  let shown = "";
  const attempts: (() => Promise<Parameters<Parameters<AuthHandlerMiddleware>[2]>[0] | undefined>)[] = [];
  const username = destination.user;
  const { key } = options;
  if (key !== undefined)
    attempts.push(async () => {
      shown = publicKeyOf(key) ?? "";
      return { type: "publickey", username, key };
    });
  const fromFile = (file: string, given: boolean) => async () => {
    const parsed = await readKey(file, given, options.askPassphrase, skipped);
    if (parsed === undefined) return undefined;
    shown = publicText(parsed);
    return { type: "publickey", username, key: parsed } as const;
  };
  for (const file of options.keyFiles ?? []) attempts.push(fromFile(file, true));
  const socket = destination.agent;
  const note = (text: string) => {
    shown = text;
  };
  if (socket !== undefined)
    attempts.push(async () => {
      const chosen = destination.identitiesOnly
        ? [...(options.keyFiles ?? []), ...destination.identityFiles].flatMap(
            (file) => publicKeyOfFile(file) ?? [],
          )
        : undefined;
      return { type: "agent", username, agent: new ChosenKeys(socket, chosen, note) };
    });
  for (const file of destination.identityFiles) attempts.push(fromFile(file, false));
  const handler: AuthHandlerMiddleware = (_left, _partial, next) => {
    void (async () => {
      for (;;) {
        const attempt = attempts.shift();
        if (attempt === undefined) return next(false as never);
        const method = await attempt();
        if (method !== undefined) return next(method);
      }
    })().catch((error: Error) => {
      skipped.push(error.message);
      next(false as never);
    });
    // Anything but undefined would count as the answer.
    return undefined;
  };
  return { handler, skipped, shown: () => shown };
}

/** Public keys ("ssh-ed25519 AAAA…") of the key files and the agent, without asking for any passphrase. */
export async function heldKeys(destination: Destination, options: LoginOptions): Promise<string[]> {
  const files = [...(options.keyFiles ?? []), ...destination.identityFiles];
  const keys = new Set(files.flatMap((file) => publicKeyOfFile(file) ?? []));
  const own = options.key === undefined ? undefined : publicKeyOf(options.key);
  if (own !== undefined) keys.add(own);
  if (destination.agent !== undefined)
    for (const key of await agentKeys(destination.agent)) keys.add(publicText(key));
  return [...keys];
}

/** The agent's keys; none when it does not answer. */
async function agentKeys(socket: string): Promise<ParsedKey[]> {
  return await new Promise((resolve) => {
    const timer = setTimeout(() => resolve([]), agentMs);
    new ssh2.OpenSSHAgent(socket).getIdentities((error, keys) => {
      clearTimeout(timer);
      resolve(error ? [] : ((keys ?? []) as ParsedKey[]));
    });
  });
}

/** An agent that shows only some of its keys, for IdentitiesOnly; an absent agent shows none. */
class ChosenKeys extends ssh2.OpenSSHAgent {
  readonly #socket: string;
  readonly #chosen: readonly string[] | undefined;
  readonly #onSign: (publicKey: string) => void;

  constructor(socket: string, chosen: readonly string[] | undefined, onSign: (publicKey: string) => void) {
    super(socket);
    this.#socket = socket;
    this.#chosen = chosen;
    this.#onSign = onSign;
  }

  /** Asked only with a key that the host has said it would take. */
  override sign(
    key: ParsedKey | Buffer | string,
    data: Buffer,
    options?: SigningRequestOptions | SignCallback,
    callback?: SignCallback,
  ): boolean {
    if (typeof key !== "string" && !Buffer.isBuffer(key)) this.#onSign(publicText(key));
    return super.sign(key, data, options as SigningRequestOptions, callback);
  }

  override getIdentities(callback: (error: Error | undefined, keys?: ParsedKey[]) => void): void {
    void agentKeys(this.#socket).then((keys) =>
      callback(
        undefined,
        keys.filter((key) => this.#chosen === undefined || this.#chosen.includes(publicText(key))),
      ),
    );
  }
}

function publicText(key: ParsedKey): string {
  return `${key.type} ${key.getPublicSSH().toString("base64")}`;
}

function publicKeyOfFile(file: string): string | undefined {
  const [type, key] = (readIfThere(`${file}.pub`) ?? "").trim().split(/\s+/);
  if (type !== undefined && key !== undefined) return `${type} ${key}`;
  const text = readIfThere(file);
  return text === undefined ? undefined : publicKeyOf(text);
}

async function readKey(
  file: string,
  given: boolean,
  ask: AskPassphrase | undefined,
  skipped: string[],
): Promise<ParsedKey | undefined> {
  const text = readIfThere(file);
  if (text === undefined) {
    if (given) throw new Fail(`no key file ${file}`);
    return undefined;
  }
  const plain = parse(text);
  if (!(plain instanceof Error)) return plain;
  if (!/encrypted|passphrase/i.test(plain.message) || ask === undefined) {
    skipped.push(`${file}: ${plain.message}`);
    return undefined;
  }
  const opened = parse(text, Buffer.from((await ask(file)).expose()));
  if (!(opened instanceof Error)) return opened;
  skipped.push(`${file}: the passphrase does not open it`);
  return undefined;
}

function parse(text: string, passphrase?: Buffer): ParsedKey | Error {
  const parsed = ssh2.utils.parseKey(text, passphrase) as ParsedKey | ParsedKey[] | Error;
  return Array.isArray(parsed) ? (parsed[0] ?? new Error("no key")) : parsed;
}
