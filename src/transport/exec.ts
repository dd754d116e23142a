import type { ClientChannel } from "ssh2";
import { collect, isAccepted, type RunOptions, type RunResult, showArgv } from "../system/run/run.ts";
import { Fail, messageOf } from "../util/fail.ts";
import { redacted } from "../util/redacted.ts";
import { shellLine } from "../util/shell-word.ts";
import type { Session } from "./session.ts";

export interface ExecOptions {
  readonly stdin?: string | Uint8Array;
  /** In place of `stdin`, and not as root: what is known only when the command has said something. */
  readonly answer?: Promise<Uint8Array>;
  /** Bound of the whole command; default ten minutes. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Exit codes that are not a failure; default only 0. */
  readonly accept?: RunOptions["accept"];
  /** More output than this is a failure; default 16 MiB. */
  readonly maxBytes?: number;
  /** Run as root, by what `becomeRoot` found. */
  readonly root?: boolean;
  /** Receives every line of stdout and stderr as it comes. */
  readonly onLine?: (line: string) => void;
}

const defaultMs = 600_000;
const defaultMaxBytes = 16 * 1024 * 1024;
const openMs = 60_000;
const stderrTailBytes = 2_000;
/** Messages show a script as an argument by its beginning. */
const shownWord = 60;

/** Runs one command on the host. `shown` is the argv that a failure names, where the real one is wrapped. */
export async function execOn(
  session: Session,
  argv: readonly string[],
  options: Omit<ExecOptions, "root"> & {
    readonly shown?: readonly string[];
    /** Feeds the command's stdin instead of `stdin`; its failure ends the command. */
    readonly feed?: (channel: ClientChannel) => Promise<void>;
  } = {},
): Promise<RunResult> {
  const { signal } = options;
  signal?.throwIfAborted();
  const what = `${shorten(options.shown ?? argv)} on ${session.name}`;
  const command = shellLine(argv);
  let exit: { code: number | null; signal: string | undefined } | undefined;
  const channel = await openChannel<ClientChannel>(
    session,
    what,
    (done) =>
      session.client.exec(command, (error, opened) => {
        // At once: a short command's exit may be in the same packet as the answer, and would be missed later.
        opened?.on("exit", (code: number | null, name?: string) => {
          exit = { code, signal: name };
        });
        done(error, opened);
      }),
    signal,
  );
  const timeoutMs = options.timeoutMs ?? defaultMs;
  let timer: NodeJS.Timeout | undefined;
  let takeBack = () => {};
  let onAbort = () => {};
  try {
    return await new Promise<RunResult>((resolve, reject) => {
      const maxBytes = options.maxBytes ?? defaultMaxBytes;
      const room = { leftBytes: maxBytes };
      const gather = (stream: NodeJS.ReadableStream) =>
        collect(stream, options.onLine, room, () =>
          reject(new Fail(`${what} printed more than ${maxBytes} bytes`)),
        );
      const stdout = gather(channel);
      const stderr = gather(channel.stderr);
      channel.on("error", (error: Error) => reject(new Fail(`${what}: ${error.message}`, { cause: error })));
      channel.on("close", () => {
        if (exit === undefined)
          return reject(session.closed() ? session.lost() : new Fail(`${what} ended without an exit code`));
        const result = { code: exit.code ?? 128, stdout: stdout().toString(), stderr: stderr().toString() };
        if (isAccepted(exit.code, options.accept)) return resolve(result);
        const how = exit.code === null ? `was killed by ${exit.signal ?? "a signal"}` : `exited ${exit.code}`;
        const tail = redacted(result.stderr || result.stdout)
          .slice(-stderrTailBytes)
          .trim();
        reject(new Fail(`${what} ${how}${tail === "" ? "" : `\n${tail}`}`));
      });
      timer = setTimeout(
        () => reject(new Fail(`${what} did not end within ${Math.round(timeoutMs / 1000)} s`)),
        timeoutMs,
      );
      takeBack = session.onClosed(() => reject(session.lost()));
      onAbort = () => reject(signal!.reason);
      signal?.addEventListener("abort", onAbort);
      if (options.answer !== undefined) options.answer.then((bytes) => channel.end(bytes)).catch(reject);
      else if (options.feed === undefined) channel.end(options.stdin ?? "");
      else options.feed(channel).catch(reject);
    });
  } catch (error) {
    // Ends its stdin and leaves it to SIGPIPE. A signal would not reach a command of root (sshd sends none there), and would
    // reach the others before they clean up.
    if (!session.closed()) channel.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    takeBack();
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Opens something on a connection, within a bound and with every failure as a Fail. What comes too late is closed. */
export async function openChannel<T extends { destroy(): unknown }>(
  session: Session,
  what: string,
  open: (done: (error: Error | undefined, channel: T) => void) => void,
  signal?: AbortSignal,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let takeBack = () => {};
  let onAbort = () => {};
  let over = false;
  try {
    return await new Promise<T>((resolve, reject) => {
      timer = setTimeout(() => reject(new Fail(`${what}: no answer within ${openMs / 1000} s`)), openMs);
      takeBack = session.onClosed(() => reject(session.lost()));
      onAbort = () => reject(signal!.reason);
      signal?.addEventListener("abort", onAbort);
      open((error, channel) => {
        if (error) reject(new Fail(`${what}: ${error.message}`, { cause: error }));
        else if (over) channel.destroy();
        else resolve(channel);
      });
    });
  } catch (error) {
    if (error instanceof Fail || signal?.aborted) throw error;
    // ssh2 throws where the connection is half closed or the server is not of the vendor it expects.
    throw new Fail(`${what}: ${messageOf(error)}`, { cause: error });
  } finally {
    over = true;
    clearTimeout(timer);
    takeBack();
    signal?.removeEventListener("abort", onAbort);
  }
}

function shorten(argv: readonly string[]): string {
  return showArgv(
    argv.map((word) => (word.length > shownWord ? `${word.trimStart().slice(0, shownWord)}…` : word)),
  );
}
