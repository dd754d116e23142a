import { spawn } from "node:child_process";
import { once } from "node:events";
import ssh2, { type AuthContext, type Connection, type ServerChannel, type ServerConfig } from "ssh2";
import { onTestFinished } from "vitest";
import { type Destination, resolveTarget } from "../../../src/transport/destination.ts";
import { generateSshKey } from "../../../src/transport/keys.ts";
import type { LoginOptions } from "../../../src/transport/login.ts";
import { openSession, type Session } from "../../../src/transport/session.ts";

export const serverKey = generateSshKey("server");
export const clientKey = generateSshKey("client");

export interface ServedSsh {
  readonly port: number;
  readonly connections: readonly Connection[];
  readonly commands: readonly string[];
}

/** ssh2's server on loopback, which lets everybody in and leaves commands to `onExec`. */
export async function serveSsh(
  onExec: (accept: () => ServerChannel, command: string, reject: () => void) => void,
  options: {
    readonly config?: Partial<ServerConfig>;
    readonly onLogin?: (context: AuthContext) => void;
    readonly onConnection?: (connection: Connection) => void;
  } = {},
): Promise<ServedSsh> {
  const [connections, commands]: [Connection[], string[]] = [[], []];
  const config = { hostKeys: [serverKey.private], ...options.config };
  const server = new ssh2.Server(config, (connection) => {
    connections.push(connection);
    connection.on("error", () => {});
    connection.on("authentication", options.onLogin ?? ((context) => context.accept()));
    connection.on("session", (acceptSession) => {
      const session = acceptSession();
      session.on("exec", (accept, reject, { command }) => {
        commands.push(command);
        onExec(accept, command, reject);
      });
    });
    options.onConnection?.(connection);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { port: (server.address() as { port: number }).port, connections, commands };
}

const running = new Set<Promise<unknown>>();

/** When no command of a host runs here any more: what it writes is written. */
export async function commandsEnded(): Promise<void> {
  while (running.size > 0) await Promise.all(running);
}

/** Runs a host's commands here, in a shell with this PATH. */
export const runHere =
  (path: string) =>
  (accept: () => ServerChannel, command: string): void => {
    const channel = accept();
    const child = spawn("/bin/sh", ["-c", command], { env: { PATH: path } });
    const over = once(child, "close").finally(() => running.delete(over));
    running.add(over);
    child.stdin.on("error", () => {});
    channel.pipe(child.stdin);
    channel.on("close", () => child.stdin.end());
    child.stdout.on("data", (data) => channel.write(data));
    child.stderr.on("data", (data) => channel.stderr.write(data));
    child.on("close", (code) => {
      channel.exit(code ?? 1);
      channel.end();
    });
  };

/** Logged in to such a server, whose key is not judged. */
export async function sessionTo(
  port: number,
  options: {
    readonly login?: LoginOptions;
    readonly destination?: Partial<Destination>;
    readonly timeoutMs?: number;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Session> {
  const plain = resolveTarget(`u@127.0.0.1:${port}`, { home: "/nowhere", sshConfigFile: "/dev/null" });
  const session = await openSession({
    destination: { ...plain, ...options.destination },
    check: { algorithms: ["ssh-ed25519"], verify: () => true, problem: () => undefined },
    login: options.login ?? (options.destination === undefined ? { key: clientKey.private } : {}),
    ...{ socket: undefined, timeoutMs: options.timeoutMs ?? 5_000, signal: options.signal },
  });
  onTestFinished(() => session.close());
  return session;
}
