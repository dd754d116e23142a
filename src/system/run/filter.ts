import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { Fail } from "../../util/fail.ts";
import { redacted } from "../../util/redacted.ts";
import { endOf } from "./ended.ts";
import { confinedStdio, fillPipes, type Given } from "./pipes.ts";
import { plainEnv, showArgv } from "./run.ts";

/** How much of the end of stderr an error message shows. */
const stderrTailBytes = 2_000;
/** Looked through for secrets before it is cut. */
const redactedBytes = 64 * 1024;

export interface FilterOptions {
  readonly input: AsyncIterable<Uint8Array>;
  /** Receives the output as it comes; while it works, the program waits. A throw ends the program. */
  readonly onOutput: (chunk: Buffer) => void;
  /** Bound of the whole; at its end the process group is killed. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly env?: Readonly<Record<string, string>>;
  /** The argv that a failure names, where the real one is wrapped. */
  readonly shown?: readonly string[];
  /** As `run` has them. */
  readonly pipes?: readonly Given[];
}

/** Runs a program that turns one stream of bytes into another, without ever holding either as a whole. */
export async function filterRun(argv: readonly string[], options: FilterOptions): Promise<void> {
  const [program, ...args] = argv;
  if (program === undefined) throw new Error("filterRun: empty argv");
  const name = showArgv(options.shown ?? argv);
  options.signal?.throwIfAborted();
  const child = spawn(program, args, {
    env: options.env ?? plainEnv,
    stdio: options.pipes === undefined ? "pipe" : confinedStdio(options.pipes),
    detached: true,
  }) as ChildProcessWithoutNullStreams;
  const ending = endOf(child, name);
  fillPipes(child, options.pipes ?? []);
  let failure: unknown;
  const stop = (why: unknown) => {
    failure ??= why;
    ending.killed();
    child.stdout.destroy();
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // The group is gone already.
    }
  };
  const seconds = Math.round(options.timeoutMs / 1000);
  const timer = setTimeout(
    () => stop(new Fail(`${name} did not end within ${seconds} s`)),
    options.timeoutMs,
  );
  const onAbort = () => stop(options.signal?.reason);
  options.signal?.addEventListener("abort", onAbort, { once: true });
  let tail = "";
  child.stderr.on("data", (chunk: Buffer) => {
    tail = (tail + chunk.toString("utf8")).slice(-redactedBytes);
  });
  child.stdout.on("data", (chunk: Buffer) => {
    try {
      if (failure === undefined) options.onOutput(chunk);
    } catch (error) {
      stop(error);
    }
  });
  try {
    await feed(child.stdin, options.input, () => failure !== undefined).catch(stop);
    const [code, signalName] = await ending.end;
    if (failure !== undefined) throw failure;
    if (code === 0) return;
    const how = code === null ? `was killed by ${signalName}` : `exited ${code}`;
    const end = redacted(tail).slice(-stderrTailBytes).trim();
    throw new Fail(`${name} ${how}${end === "" ? "" : `\n${end}`}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" && failure === undefined)
      throw new Fail(`program not found: ${program}`, {
        hint: "run `imgbuild doctor`, which names the missing package",
      });
    throw error;
  } finally {
    clearTimeout(timer);
    ending.done();
    options.signal?.removeEventListener("abort", onAbort);
  }
}

/** Writes as fast as the program reads; a program that has ended early needs no more. */
async function feed(
  stdin: NodeJS.WritableStream,
  input: AsyncIterable<Uint8Array>,
  stopped: () => boolean,
): Promise<void> {
  let ended = false;
  const over = new Promise<void>((resolve) => {
    const end = () => {
      ended = true;
      resolve();
    };
    stdin.on("error", end);
    stdin.on("close", end);
  });
  for await (const chunk of input) {
    if (ended || stopped()) return;
    if (!stdin.write(chunk))
      await Promise.race([new Promise<void>((resolve) => stdin.once("drain", () => resolve())), over]);
  }
  stdin.end();
}
