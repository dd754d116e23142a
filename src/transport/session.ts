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
  /** The public key ("ssh-ed25519 AAAA…") that opened the login. */
  readonly openedBy: string;
  readonly closed: () => boolean;
  /** The failure for a caller that was using it. */
  readonly lost: () => Fail;
  /** Calls back once when the connection is gone, at once when it is. Returns how to take that back. */
  readonly onClosed: (callback: () => void) => () => void;
  readonly close: () => void;
}

interface Opening {
  readonly destination: Destination;
  readonly check: HostKeyCheck;
  readonly login: LoginOptions;
  readonly socket: Duplex | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Connects and logs in within `timeoutMs`, over `socket` when another host is in between. */
export async function openSession(options: Opening): Promise<Session> {
  const { destination, signal } = options;
  const name = destination.alias;
  signal?.throwIfAborted();
  const client = new ssh2.Client();
  const clock = makeClock(options.timeoutMs);
  const { handler, skipped, shown } = login(destination, pausing(options.login, clock));
  const life = watch(client, skipped);
  try {
    await connected(client, life, clock, { ...options, handler, skipped });
  } catch (error) {
    client.destroy();
    if (error instanceof Fail || signal?.aborted) throw error;
    throw connectFailure(destination, error, skipped);
  }
  return {
    name,
    client,
    openedBy: shown(),
    closed: () => life.closed,
    lost: () => {
      const { last } = life;
      return new Fail(`the connection to ${name} was lost${last === undefined ? "" : `: ${last.message}`}`, {
        cause: last,
      });
    },
    onClosed(callback) {
      if (life.closed) callback();
      else life.listeners.add(callback);
      return () => life.listeners.delete(callback);
    },
    close() {
      if (life.closed) return;
      client.end();
      setTimeout(() => client.destroy(), closeMs).unref();
      life.end();
    },
  };
}

/** What becomes of a connection. */
interface Life {
  closed: boolean;
  /** The first error. */
  last: Error | undefined;
  readonly listeners: Set<() => void>;
  /** Takes errors while somebody waits for the login. */
  refuse: (error: Error) => void;
  readonly end: () => void;
}

function watch(client: Client, skipped: string[]): Life {
  const life: Life = {
    closed: false,
    last: undefined,
    listeners: new Set(),
    refuse: () => {},
    end: () => {
      if (life.closed) return;
      life.closed = true;
      for (const listener of [...life.listeners]) listener();
    },
  };
  // Stays as long as the connection: without it a late error would end the process.
  client.on("error", (error: Error & { level?: string }) => {
    // An agent that does not sign, as its owner refused: ssh2 continues with the next key.
    if (error.level === "agent") return void skipped.push(`a key of the agent: ${error.message}`);
    life.last ??= error;
    life.refuse(error);
  });
  client.on("close", life.end);
  return life;
}

/** A bound that can be stopped, and starts anew. */
interface Clock {
  expire: () => void;
  readonly arm: () => void;
  readonly stop: () => void;
}

function makeClock(timeoutMs: number): Clock {
  let timer: NodeJS.Timeout | undefined;
  const stop = () => clearTimeout(timer);
  const clock: Clock = {
    expire: () => {},
    arm: () => {
      stop();
      timer = setTimeout(() => clock.expire(), timeoutMs);
    },
    stop,
  };
  return clock;
}

/** A person types in their own time; the host has its own bound for that (LoginGraceTime). */
function pausing(given: LoginOptions, clock: Clock): LoginOptions {
  const ask = given.askPassphrase;
  if (ask === undefined) return given;
  return {
    ...given,
    askPassphrase: async (file) => {
      clock.stop();
      try {
        return await ask(file);
      } finally {
        clock.arm();
      }
    },
  };
}

async function connected(
  client: Client,
  life: Life,
  clock: Clock,
  options: Opening & Pick<ReturnType<typeof login>, "handler" | "skipped">,
): Promise<void> {
  const { destination, check, socket, signal, skipped } = options;
  let onAbort = () => {};
  try {
    await new Promise<void>((resolve, reject) => {
      life.refuse = (error) => reject(check.problem() ?? connectFailure(destination, error, skipped));
      clock.expire = () => {
        const seconds = Math.round(options.timeoutMs / 1000);
        reject(new Fail(`${destination.alias} did not answer within ${seconds} s`, { hint: reachHint }));
      };
      onAbort = () => reject(signal!.reason);
      signal?.addEventListener("abort", onAbort);
      clock.arm();
      client.once("ready", resolve);
      client.once("close", () => life.refuse(new Error("the connection was closed")));
      client.connect({
        ...(socket === undefined
          ? { host: destination.host, port: destination.port }
          : { sock: socket as never }),
        username: destination.user,
        authHandler: options.handler,
        // Exactly true or false: see HostKeyCheck.
        hostVerifier: (key: Buffer): boolean => check.verify(key) === true,
        algorithms: { serverHostKey: check.algorithms },
        readyTimeout: 0,
        keepaliveInterval: keepaliveMs,
        keepaliveCountMax: keepalives,
      });
    });
  } finally {
    clock.stop();
    signal?.removeEventListener("abort", onAbort);
  }
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
    return new Fail(`${alias} and imgbuild have no algorithm in common: ${text}`, { cause: error });
  return new Fail(`no connection to ${alias} (${host} port ${port}): ${text}`, {
    cause: error,
    hint: reachHint,
  });
}
