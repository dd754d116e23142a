import type { Duplex } from "node:stream";
import ssh2, { type Client } from "ssh2";
import { Fail, messageOf } from "../util/fail.ts";
import type { Destination } from "./destination.ts";
import type { HostKeyCheck } from "./host-key.ts";
import { type LoginOptions, login } from "./login.ts";

/** A peer that vanished is noticed after this many unanswered questions. */
const keepaliveMs = 5_000;
const keepalives = 6;
/** How long a peer may take to close what we ended. */
const closeMs = 1_000;

/** One authenticated connection; it knows why it ended. */
export interface Session {
  readonly name: string;
  readonly client: Client;
  /** The public key ("ssh-ed25519 AAAA…") that we were let in by. */
  readonly openedBy: string;
  readonly closed: () => boolean;
  /** What a caller in the middle of something is told. */
  readonly lost: () => Fail;
  /** Calls back once when the connection is gone, at once when it is. Returns how to take that back. */
  readonly onClosed: (callback: () => void) => () => void;
  readonly close: () => void;
}

/** Connects and logs in within `timeoutMs`, over `socket` when the way leads through another host. */
export async function openSession(options: {
  readonly destination: Destination;
  readonly check: HostKeyCheck;
  readonly login: LoginOptions;
  readonly socket: Duplex | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}): Promise<Session> {
  const { destination, check, signal } = options;
  const name = destination.alias;
  signal?.throwIfAborted();
  const client = new ssh2.Client();
  let last: Error | undefined;
  let closed = false;
  const listeners = new Set<() => void>();
  const ended = () => {
    if (closed) return;
    closed = true;
    for (const listener of [...listeners]) listener();
  };
  // Stays for the connection's life: without it a late error would end the process.
  let refuse = (_error: Error) => {};
  client.on("error", (error: Error & { level?: string }) => {
    // An agent that does not sign, as its owner refused: ssh2 goes on with the next key.
    if (error.level === "agent") return void skipped.push(`a key of the agent: ${error.message}`);
    last ??= error;
    refuse(error);
  });
  client.on("close", ended);
  const { handler, skipped, shown } = login(destination, pausing(options.login));
  let timer: NodeJS.Timeout | undefined;
  let expire = () => {};
  const arm = () => {
    clearTimeout(timer);
    timer = setTimeout(() => expire(), options.timeoutMs);
  };
  // A person types in their own time; the host has its own bound for that (LoginGraceTime).
  function pausing(given: LoginOptions): LoginOptions {
    const ask = given.askPassphrase;
    if (ask === undefined) return given;
    return {
      ...given,
      askPassphrase: async (file) => {
        clearTimeout(timer);
        try {
          return await ask(file);
        } finally {
          arm();
        }
      },
    };
  }
  let onAbort = () => {};
  try {
    await new Promise<void>((resolve, reject) => {
      refuse = (error) => reject(check.problem() ?? connectFailure(destination, error, skipped));
      expire = () =>
        reject(
          new Fail(`${name} did not answer within ${Math.round(options.timeoutMs / 1000)} s`, {
            hint: reachHint,
          }),
        );
      onAbort = () => reject(signal!.reason);
      signal?.addEventListener("abort", onAbort);
      arm();
      client.once("ready", resolve);
      client.once("close", () => refuse(new Error("the connection was closed")));
      client.connect({
        ...(options.socket === undefined
          ? { host: destination.host, port: destination.port }
          : { sock: options.socket as never }),
        username: destination.user,
        authHandler: handler,
        // Exactly true or false: see HostKeyCheck.
        hostVerifier: (key: Buffer): boolean => check.verify(key) === true,
        algorithms: { serverHostKey: check.algorithms },
        readyTimeout: 0,
        keepaliveInterval: keepaliveMs,
        keepaliveCountMax: keepalives,
      });
    });
  } catch (error) {
    client.destroy();
    if (error instanceof Fail || signal?.aborted) throw error;
    throw connectFailure(destination, error, skipped);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
  return {
    name,
    client,
    openedBy: shown(),
    closed: () => closed,
    lost: () =>
      new Fail(`the connection to ${name} was lost${last === undefined ? "" : `: ${last.message}`}`, {
        cause: last,
      }),
    onClosed(callback) {
      if (closed) callback();
      else listeners.add(callback);
      return () => listeners.delete(callback);
    },
    close() {
      if (closed) return;
      client.end();
      setTimeout(() => client.destroy(), closeMs).unref();
      ended();
    },
  };
}

const reachHint = "is the machine up, and does the address lead to it? `ssh -v` shows how far it gets";

function connectFailure(destination: Destination, error: unknown, skipped: readonly string[]): Fail {
  const { alias, host, port, user } = destination;
  const text = messageOf(error);
  if (/authentication/i.test(text))
    return new Fail(
      `${alias} lets ${user} in with none of your keys${skipped.map((line) => `\n  not tried: ${line}`).join("")}`,
      {
        cause: error,
        hint: `name a key by --ssh-key, add it to the agent, or log in as another user (user@${alias})`,
      },
    );
  if (/no matching/i.test(text))
    return new Fail(`${alias} and imgbuild find no common algorithm: ${text}`, { cause: error });
  return new Fail(`no connection to ${alias} (${host} port ${port}): ${text}`, {
    cause: error,
    hint: reachHint,
  });
}
