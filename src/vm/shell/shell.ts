import { execFile } from "node:child_process";
import { lstat, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../../system/run/run.ts";
import { Fail } from "../../util/fail.ts";
import { shellLine, shellWord } from "../../util/shell-word.ts";
import { visibleText } from "../../util/visible.ts";

/** Bounds on ordinary hardware; an emulated machine gets more, see `Machine.scale`. */
const commandSeconds = 30;
const waitSeconds = 60;
const copySeconds = 120;
/** Between two looks in vain. */
const pauseMs = 250;
/** How much of what a failed command printed its message shows. */
const tailBytes = 2_000;
/** A directory that is copied, as an archive in memory. */
const maxCopyBytes = 256 * 2 ** 20;

/** A line of bash ("systemctl is-active nginx | grep -q active"), or a program with its arguments, which nothing reads as code. */
export type Command = string | readonly string[];

export interface ExecuteOptions {
  /** Bound on ordinary hardware. */
  readonly withinSeconds?: number;
  readonly stdin?: string | Uint8Array;
}

export interface Executed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How commands get into the guest; `seconds` is already scaled, and code 124 says that they did not do. */
type Execute = (
  script: string,
  options: { timeoutMs: number; stdin?: Uint8Array },
) => Promise<{ code: number; stdout: Buffer; stderr: Buffer }>;

/** Whoever is logged in somewhere: by the machine's own shell (root), or by SSH (that user). */
export interface Shell {
  /** Runs it, with any exit code; fails only when it does not end within its bound. */
  execute(command: Command, options?: ExecuteOptions): Promise<Executed>;
  /** Runs it; gives what it printed, without the last newline. Fails when the exit code is not 0. */
  succeed(command: Command, options?: ExecuteOptions): Promise<string>;
  /** Runs it; fails when the exit code is 0. Gives what it printed. */
  fail(command: Command, options?: ExecuteOptions): Promise<Executed>;
  /** Runs it again and again until its exit code is 0. */
  waitUntilSucceeds(command: Command, options?: ExecuteOptions): Promise<string>;
  waitUntilFails(command: Command, options?: ExecuteOptions): Promise<void>;
  /** Until the unit is active; fails at once when it has failed. */
  waitForUnit(unit: string, options?: ExecuteOptions): Promise<void>;
  /** Until a program answers on the TCP port, seen from inside. `address`: default localhost. */
  waitForPort(port: number, options?: ExecuteOptions & { readonly address?: string }): Promise<void>;
  waitForFile(path: string, options?: ExecuteOptions): Promise<void>;
  /** The journal of this boot, of one unit where named. */
  journal(options?: { readonly unit?: string; readonly lines?: number }): Promise<string>;
  /** A file or a directory with all below it to exactly this path; it belongs to the user of the shell. */
  copyTo(from: string, to: string): Promise<void>;
  copyFrom(from: string, to: string): Promise<void>;
}

/** What runs commands; the rest of a shell is made of it. */
type Commands = Pick<Shell, "execute" | "succeed" | "fail" | "journal">;
type Raw = (
  command: Command,
  options: ExecuteOptions,
) => Promise<{ code: number; stdout: Buffer; stderr: Buffer }>;

export function makeShell(name: string, scale: number, execute: Execute): Shell {
  const raw: Raw = async (command, options) => {
    const bound = options.withinSeconds ?? commandSeconds;
    const stdin = options.stdin === undefined ? {} : { stdin: Buffer.from(options.stdin) };
    const timeoutMs = bound * 1000 * scale;
    const began = performance.now();
    const result = await execute(scriptOf(command), { timeoutMs, ...stdin });
    // The same codes come of commands that use timeout(1) or are killed themselves, but earlier; the guest's clock is not quite ours.
    if ((result.code === 124 || result.code === 137) && performance.now() - began > 0.9 * timeoutMs)
      throw new Fail(`${name}: ${shown(command)} did not end within ${Math.round(bound * scale)} s`);
    return result;
  };
  const commands: Commands = {
    execute: async (command, options = {}) => {
      const { code, stdout, stderr } = await raw(command, options);
      return { code, stdout: stdout.toString("utf8"), stderr: stderr.toString("utf8") };
    },
    succeed: async (command, options = {}) => {
      const result = await commands.execute(command, options);
      if (result.code === 0) return result.stdout.replace(/\n$/, "");
      throw new Fail(`${name}: ${shown(command)} exited ${result.code}${tail(result)}`);
    },
    fail: async (command, options = {}) => {
      const result = await commands.execute(command, options);
      if (result.code !== 0) return result;
      throw new Fail(`${name}: ${shown(command)} succeeded, and was to fail${tail(result)}`);
    },
    journal: ({ unit, lines } = {}) =>
      commands.succeed(
        [
          ...["journalctl", "--boot", "--no-pager", "--output=short-monotonic"],
          ...(unit === undefined ? [] : [`--unit=${unit}`]),
          ...(lines === undefined ? [] : [`--lines=${lines}`]),
        ],
        { withinSeconds: copySeconds },
      ),
  };
  return { ...commands, ...waitsOf(commands, name, scale), ...copiesOf(name, raw) };
}

function waitsOf(
  shell: Commands,
  name: string,
  scale: number,
): Omit<Shell, keyof Commands | "copyTo" | "copyFrom"> {
  /** Until the program exits 0. */
  const untilZero = (what: string, argv: readonly string[], options: ExecuteOptions) =>
    until(shell, name, scale, options, what, async () => {
      const last = await shell.execute(argv, oneTry(options));
      return last.code === 0 ? { value: undefined } : { last };
    });
  return {
    waitUntilSucceeds: (command, options = {}) =>
      until(shell, name, scale, options, shown(command), async () => {
        const result = await shell.execute(command, oneTry(options));
        return result.code === 0 ? { value: result.stdout.replace(/\n$/, "") } : { last: result };
      }),
    waitUntilFails: (command, options = {}) =>
      until(shell, name, scale, options, `${shown(command)} to fail`, async () => {
        const result = await shell.execute(command, oneTry(options));
        return result.code === 0 ? { last: result } : { value: undefined };
      }),
    waitForUnit: (unit, options = {}) =>
      until(shell, name, scale, options, `unit ${unit}`, async () => {
        const last = await shell.execute(["systemctl", "is-active", unit], oneTry(options));
        const state = last.stdout.trim();
        if (state === "active") return { value: undefined };
        if (state !== "failed") return { last };
        throw new Fail(`${name}: unit ${unit} has failed\n${await shell.journal({ unit, lines: 30 })}`);
      }),
    waitForPort: (port, options = {}) => {
      // bash opens TCP connections by itself, so that nothing has to be installed for it.
      const script = `exec 9<>"/dev/tcp/$1/$2"`;
      const { address = "localhost" } = options;
      const argv = ["timeout", "20", "bash", "-c", script, "bash", address, String(port)];
      return untilZero(`port ${port}`, argv, options);
    },
    waitForFile: (path, options = {}) => untilZero(`file ${path}`, ["test", "-e", path], options),
  };
}

function copiesOf(name: string, raw: Raw): Pick<Shell, "copyTo" | "copyFrom"> {
  return {
    copyTo: async (from, to) => {
      const what = await stat(from).catch(() => {
        throw new Fail(`${from} is not there to be copied to ${name}`);
      });
      const stdin = what.isDirectory() ? await pack(from) : await readFile(from);
      const place = shellWord(to);
      const script = what.isDirectory()
        ? `mkdir -p -- ${place} && tar --extract --no-same-owner -C ${place}`
        : `install -D -m ${(what.mode & 0o777).toString(8)} -- /dev/stdin ${place}`;
      await copied(name, `copying ${from} to ${to}`, raw(script, { stdin, withinSeconds: copySeconds }));
    },
    copyFrom: async (from, to) => {
      const place = shellWord(from);
      const script = `if [ -d ${place} ]; then echo d; tar --create -C ${place} .; else echo f; cat -- ${place}; fi`;
      const said = `copying ${from} from ${name}`;
      const { stdout } = await copied(name, said, raw(script, { withinSeconds: copySeconds }));
      const content = stdout.subarray(2);
      if ((await lstat(to).catch(() => undefined))?.isSymbolicLink())
        throw new Fail(`${to} is a symbolic link; name a plain file or directory`);
      await mkdir(stdout[0] === "d".charCodeAt(0) ? to : dirname(to), { recursive: true });
      if (stdout[0] !== "d".charCodeAt(0)) return await writeFile(to, content);
      await run(["tar", "--extract", "--no-same-owner", "-C", to], { stdin: content });
    },
  };
}

type Attempt<T> = { readonly value: T } | { readonly last: Executed };

/** Tries until there is a value, at least once, and not beyond the bound. */
async function until<T>(
  shell: Commands,
  name: string,
  scale: number,
  options: ExecuteOptions,
  what: string,
  attempt: () => Promise<Attempt<T>>,
): Promise<T> {
  const seconds = (options.withinSeconds ?? waitSeconds) * scale;
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const result = await attempt();
    if ("value" in result) return result.value;
    if (Date.now() >= deadline) {
      const { code } = result.last;
      // What else goes wrong in the machine is the likeliest reason.
      const failed = await shell
        .execute(["systemctl", "--failed", "--no-legend", "--plain"])
        .then((result) => result.stdout.trim())
        .catch(() => "");
      const also = failed === "" ? "" : `\nfailed units: ${failed}`;
      throw new Fail(
        `${name}: waited ${Math.round(seconds)} s for ${what}; last exit code ${code}${tail(result.last)}${also}`,
      );
    }
    await sleep(pauseMs);
  }
}

/** A try may take the whole bound, but not more. */
function oneTry(options: ExecuteOptions): ExecuteOptions {
  const stdin = options.stdin === undefined ? {} : { stdin: options.stdin };
  return { withinSeconds: options.withinSeconds ?? waitSeconds, ...stdin };
}

async function copied<T extends { code: number; stderr: Buffer }>(
  name: string,
  what: string,
  work: Promise<T>,
): Promise<T> {
  const result = await work;
  if (result.code === 0) return result;
  throw new Fail(`${name}: ${what}: ${result.stderr.toString("utf8").trim() || `exit code ${result.code}`}`);
}

async function pack(directory: string): Promise<Buffer> {
  const argv = ["--create", "--owner=0", "--group=0", "--numeric-owner", "-C", directory, "."];
  return await new Promise((resolve, reject) => {
    execFile("tar", argv, { encoding: "buffer", maxBuffer: maxCopyBytes }, (error, stdout) =>
      error === null ? resolve(stdout) : reject(new Fail(`packing ${directory}: ${error.message}`)),
    );
  });
}

function scriptOf(command: Command): string {
  return typeof command === "string" ? command : shellLine(command);
}

function shown(command: Command): string {
  return typeof command === "string" ? command : command.join(" ");
}

function tail({ stdout, stderr }: Executed): string {
  const text = (stderr.trim() || stdout.trim()).slice(-tailBytes);
  return text === "" ? "" : `\n${visibleText(text)}`;
}
