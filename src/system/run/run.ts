import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { Fail } from "../../util/fail.ts";
import { redacted } from "../../util/redacted.ts";
import { endOf } from "./ended.ts";
import { confinedStdio, fillPipes, type Given } from "./pipes.ts";

/** Bytes of a child's stdout kept in memory; more is a failure of the caller's expectation, reported as such. */
const maxStdoutBytes = 64 * 1024 * 1024;
/** After a kill: how long the pipes may still deliver what was printed before it. */
const lingerMs = 500;
/** How much of the end of stderr an error message shows. */
const stderrTailBytes = 2_000;
/** Looked through for secrets before it is cut, which would leave a part of one. */
const redactedBytes = 256 * 1024;

export interface RunOptions {
  /** Bound of the whole command; at its end the process group is killed. Default ten minutes. */
  readonly timeoutMs?: number;
  readonly stdin?: string | Uint8Array;
  readonly cwd?: string;
  /** The whole environment of the child; default: PATH and LC_ALL only, so results do not depend on the caller's. */
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Exit codes that are not a failure; default only 0. */
  readonly accept?: readonly number[] | "any" | undefined;
  /** Receives every line of stdout and stderr as it comes. */
  readonly onLine?: (line: string) => void;
  /** The argv that a failure names, where the real one is wrapped. */
  readonly shown?: readonly string[];
  /** What to do when the program is missing or fails; shown as the hint. */
  readonly hint?: string;
  /** Its descriptors from 3 on. With them, it gets nothing else that we have inherited. */
  readonly pipes?: readonly Given[];
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunBytes extends RunResult {
  /** stdout as it came, where it is no text. */
  readonly bytes: Buffer;
}

export const plainEnv: Readonly<Record<string, string>> = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C.UTF-8",
};

let shown: (argv: readonly string[]) => void = () => {};

/** Has every program shown from now on, before it starts. An argv holds no secret. */
export function onEachRun(show: (argv: readonly string[]) => void): void {
  shown = show;
}

/**
 * Runs one program, no shell. A failure shows its argv and the end of its stderr.
 * The child leads its own process group, which is killed whole on timeout and on abort.
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunBytes> {
  const [program, ...args] = argv;
  if (program === undefined) throw new Error("run: empty argv");
  const timeoutMs = options.timeoutMs ?? 600_000;
  options.signal?.throwIfAborted();
  shown(options.shown ?? argv);
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.env ?? plainEnv,
    stdio: options.pipes === undefined ? "pipe" : confinedStdio(options.pipes),
    detached: true,
  }) as ChildProcessWithoutNullStreams;
  const ending = endOf(child, showArgv(options.shown ?? argv));
  fillPipes(child, options.pipes ?? []);
  let ended: "timeout" | "abort" | "overflow" | undefined;
  const stop = (why: typeof ended) => {
    ended ??= why;
    ending.killed();
    if (child.pid !== undefined) {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // The group is gone already.
      }
    }
    // A process that left the group may still hold the pipes; do not wait for it.
    setTimeout(() => {
      child.stdout.destroy();
      child.stderr.destroy();
    }, lingerMs).unref();
  };
  const timer = setTimeout(() => stop("timeout"), timeoutMs);
  const onAbort = () => stop("abort");
  options.signal?.addEventListener("abort", onAbort, { once: true });
  const stdout = collect(child.stdout, options.onLine, { leftBytes: maxStdoutBytes }, () => stop("overflow"));
  const stderr = collect(child.stderr, options.onLine, { leftBytes: maxStdoutBytes }, () => stop("overflow"));
  child.stdin.on("error", () => {});
  child.stdin.end(options.stdin ?? "");
  try {
    const [code, signalName] = await ending.end;
    const bytes = stdout();
    const result = {
      code: code ?? 128,
      bytes,
      stdout: bytes.toString("utf8"),
      stderr: stderr().toString("utf8"),
    };
    if (ended === "abort") throw options.signal?.reason ?? new Fail("interrupted");
    if (ended === undefined && isAccepted(code, options.accept)) return result;
    throw commandFailure(argv, options, ended, code, signalName, result, timeoutMs);
  } catch (error) {
    if (
      (error as NodeJS.ErrnoException).code === "ENOENT" &&
      (error as NodeJS.ErrnoException).syscall?.startsWith("spawn")
    )
      throw new Fail(
        options.cwd !== undefined && !existsSync(options.cwd)
          ? `${program} cannot run in ${options.cwd}, which does not exist`
          : `program not found: ${program}`,
        {
          hint: options.hint ?? "run `imgbuild doctor`, which names the missing package",
        },
      );
    throw error;
  } finally {
    clearTimeout(timer);
    ending.done();
    options.signal?.removeEventListener("abort", onAbort);
  }
}

export function isAccepted(code: number | null, accept: RunOptions["accept"] = [0]): boolean {
  return code !== null && (accept === "any" || accept.includes(code));
}

function commandFailure(
  argv: readonly string[],
  options: RunOptions,
  ended: string | undefined,
  code: number | null,
  signalName: string | null,
  result: RunResult,
  timeoutMs: number,
): Fail {
  const how =
    ended === "timeout"
      ? `did not end within ${Math.round(timeoutMs / 1000)} s`
      : ended === "overflow"
        ? "printed more than can be held"
        : code === null
          ? `was killed by ${signalName}`
          : `exited ${code}`;
  const tail = redacted((result.stderr || result.stdout).slice(-redactedBytes))
    .slice(-stderrTailBytes)
    .trim();
  const hint = hintIn(tail) ?? options.hint;
  return new Fail(`${showArgv(options.shown ?? argv)} ${how}${tail === "" ? "" : `\n${tail}`}`, {
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Words of the C library or a shell that explain a failure better than the caller could. */
function hintIn(tail: string): string | undefined {
  if (/no space left on device/i.test(tail))
    return "the disk is full: free some, or name another place for the output";
  if (/^(unshare|nsenter|bwrap): .*not permitted/m.test(tail))
    return "namespaces are closed to us here: a container must be privileged (CAP_SYS_ADMIN)";
  if (/^(sh|imgbuild): .*: not found$|^unshare: failed to execute bwrap/m.test(tail))
    return "run `imgbuild doctor`, which names the missing package";
  return undefined;
}

/** An argv as a person reads it; for messages only, never for execution. */
export function showArgv(argv: readonly string[]): string {
  return argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word))).join(" ");
}

/** Gathers what a stream gives, as long as there is room, and hands on each line as it comes. */
export function collect(
  stream: NodeJS.ReadableStream,
  onLine: ((line: string) => void) | undefined,
  room: { leftBytes: number },
  overflow: () => void,
): () => Buffer {
  const chunks: Buffer[] = [];
  const decoder = new StringDecoder("utf8");
  let rest = "";
  stream.on("data", (chunk: Buffer) => {
    room.leftBytes -= chunk.length;
    if (room.leftBytes < 0) return overflow();
    chunks.push(chunk);
    if (onLine === undefined) return;
    const lines = (rest + decoder.write(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
  stream.on("end", () => {
    if (rest !== "" && onLine !== undefined) onLine(rest);
  });
  return () => Buffer.concat(chunks);
}
