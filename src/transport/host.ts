import type { Duplex } from "node:stream";
import type { ClientChannel } from "ssh2";
import type { RunResult } from "../system/run/run.ts";
import { Fail } from "../util/fail.ts";
import type { Log } from "../util/log.ts";
import type { Secret } from "../util/secret.ts";
import { type Destination, type DestinationOptions, resolveTarget } from "./destination.ts";
import { type ExecOptions, execOn, openChannel } from "./exec.ts";
import { hostKeyCheck } from "./host-key.ts";
import { heldKeys, type LoginOptions } from "./login.ts";
import { findRoot, passwordLine, type RootBy, type RootWay } from "./root.ts";
import { openSession, type Session } from "./session.ts";
import { type UploadOptions, uploadTo } from "./upload.ts";

/** A machine we are logged in to. Every failure of the connection is a Fail, so that a caller may try again. */
export interface Host {
  readonly name: string;
  /** The public key ("ssh-ed25519 AAAA…") that let us in. */
  readonly openedBy: string;
  exec(argv: readonly string[], options?: ExecOptions): Promise<RunResult>;
  upload(source: string | Uint8Array, remotePath: string, options: UploadOptions): Promise<void>;
  /** Before the first `root: true`. */
  becomeRoot(options: { askPassword?: () => Promise<Secret> }): Promise<RootBy>;
  openStreamLocal(path: string): Promise<Duplex>;
  forwardTcp(host: string, port: number): Promise<Duplex>;
  readonly closed: boolean;
  close(): void;
}

export interface ConnectOptions extends DestinationOptions, LoginOptions {
  /** "ssh-ed25519 AAAA…" or "SHA256:…": accept exactly these host keys, and ignore known_hosts. */
  readonly pins?: readonly string[] | undefined;
  /** Bound for connecting and logging in, for each host on the way. */
  readonly timeoutMs?: number | undefined;
  readonly log?: Log | undefined;
  readonly signal?: AbortSignal | undefined;
}

const connectMs = 30_000;
const maxJumps = 8;

/** Logs in to `[user@]name[:port]` or an alias of ssh_config, through its ProxyJump hosts. Host keys are judged strictly. */
export async function connect(target: string, options: ConnectOptions): Promise<Host> {
  const sessions: Session[] = [];
  try {
    await openWay(target, options, options, sessions, []);
  } catch (error) {
    for (const session of sessions.reverse()) session.close();
    throw error;
  }
  return makeHost(sessions);
}

/** The public keys ("ssh-ed25519 AAAA…") the operator can log in with: key files, the agent, and what ssh_config says for `target`. */
export async function publicKeysHeld(options: ConnectOptions, target = "localhost"): Promise<string[]> {
  return await heldKeys(resolveTarget(target, options), options);
}

/** Opens the hosts on the way first. What is meant for the target alone (user, port, pins, key) does not apply to them. */
async function openWay(
  target: string,
  options: ConnectOptions,
  common: ConnectOptions,
  sessions: Session[],
  seen: readonly string[],
): Promise<void> {
  if (seen.includes(target) || seen.length > maxJumps)
    throw new Fail(`ProxyJump leads in a circle or too far: ${[...seen, target].join(", ")}`, {
      hint: "correct your ssh_config",
    });
  const destination = resolveTarget(target, options);
  const { user: _user, port: _port, pins: _pins, key: _key, ...jumpOptions } = common;
  for (const [index, jump] of destination.jumps.entries()) {
    // Only the first host of a list may have jumps of its own; each next host is reached from the previous.
    if (index === 0) await openWay(jump, jumpOptions, common, sessions, [...seen, target]);
    else sessions.push(await open(resolveTarget(jump, jumpOptions), jumpOptions, sessions.at(-1)));
  }
  sessions.push(await open(destination, options, sessions.at(-1)));
}

async function open(
  destination: Destination,
  options: ConnectOptions,
  through: Session | undefined,
): Promise<Session> {
  const check = hostKeyCheck(destination, options.pins);
  const { host, port } = destination;
  const socket = through === undefined ? undefined : await forward(through, host, port);
  return await openSession({
    destination,
    check,
    login: options,
    socket,
    timeoutMs: options.timeoutMs ?? connectMs,
    signal: options.signal,
  });
}

function makeHost(sessions: readonly Session[]): Host {
  const session = sessions.at(-1)!;
  let way: RootWay | undefined;
  const rootWay = () => {
    if (way === undefined) throw new Error("root before becomeRoot");
    if (way.by === "impossible")
      throw new Fail(`no way to become root on ${session.name}`, {
        hint: "log in as root, or as a user with sudo or doas",
      });
    return way;
  };
  return {
    name: session.name,
    openedBy: session.openedBy,
    async exec(argv, options = {}) {
      const { root, ...rest } = options;
      if (root !== true) return await execOn(session, argv, rest);
      const by = rootWay();
      const stdin = Buffer.concat([passwordLine(by), Buffer.from(rest.stdin ?? "")]);
      return await execOn(session, by.wrap(argv), { ...rest, stdin, shown: argv });
    },
    upload: (source, remotePath, options) =>
      uploadTo(session, source, remotePath, options, options.root === true ? rootWay() : undefined),
    async becomeRoot({ askPassword }) {
      way = await findRoot(session, askPassword);
      return way.by;
    },
    openStreamLocal: (path) =>
      openChannel<ClientChannel>(session, `opening ${path} on ${session.name}`, (done) =>
        session.client.openssh_forwardOutStreamLocal(path, done),
      ),
    forwardTcp: (host, port) => forward(session, host, port),
    get closed() {
      return session.closed();
    },
    close() {
      for (const each of [...sessions].reverse()) each.close();
    },
  };
}

async function forward(session: Session, host: string, port: number): Promise<Duplex> {
  return await openChannel<ClientChannel>(
    session,
    `connecting from ${session.name} to ${host} port ${port}`,
    (done) => session.client.forwardOut("127.0.0.1", 0, host, port, done),
  );
}
