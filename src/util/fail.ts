/** An expected failure: shown as message and hint, without a stack. Anything else that is thrown is a bug. */
export class Fail extends Error {
  readonly hint: string | undefined;
  readonly exitCode: number;

  /** `message`: lower case, no full stop, names the value and what is accepted. `hint`: what to type next. */
  constructor(message: string, options: { hint?: string; cause?: unknown; exitCode?: number } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "Fail";
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? exitCodes.failed;
  }
}

/** Process exit codes, as documented in docs/COMMANDS.md. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  /** The former system serves again. */
  takenBack: 4,
  bug: 70,
  interrupted: 130,
} as const;

/** Runs `work`; a failure inside is told as having happened during `doing` ("formatting /dev/vda2"). Bugs pass untouched. */
export async function during<T>(doing: string, work: () => Promise<T> | T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const fail = asFail(error);
    if (fail === undefined) throw error;
    throw new Fail(`${doing}: ${fail.message}`, {
      cause: fail.cause ?? fail,
      exitCode: fail.exitCode,
      ...(fail.hint === undefined ? {} : { hint: fail.hint }),
    });
  }
}

/** What the machine refuses whoever is right: its disk, its rights, its limits. A file that is merely absent may be a bug. */
const refusals: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  ENOSPC: ["no space is left", "free some, or name a larger disk (IMGBUILD_CACHE moves the cache)"],
  EDQUOT: ["the disk quota is used up", "free some, or name another disk (IMGBUILD_CACHE moves the cache)"],
  EFBIG: ["the file is larger than is allowed here", "see `ulimit -f`, or name another filesystem"],
  EACCES: ["permission is denied", "run it as the user who may, or name another place"],
  EPERM: ["the operation is not permitted", "run it as the user who may, or name another place"],
  EROFS: ["the filesystem is read-only", "name another place (IMGBUILD_CACHE moves the cache)"],
  EIO: ["the disk gives an input/output error", "look at the kernel's messages: `dmesg`"],
  ENOTDIR: ["a part of the path is not a directory", "name another path"],
  EISDIR: ["it is a directory, not a file", "name a file"],
  EEXIST: ["something else is there already", "name another path"],
  ENAMETOOLONG: ["the name is too long", "name a shorter path"],
  ELOOP: ["its symbolic links go in a circle", "name another path"],
  EMFILE: ["too many files are open", "raise `ulimit -n`"],
  ENFILE: ["too many files are open on this machine", "close some programs"],
};

/** A Fail as it is, a refusal of the operating system as one; undefined for a bug. */
export function asFail(error: unknown): Fail | undefined {
  if (error instanceof Fail) return error;
  if (!(error instanceof Error)) return undefined;
  const { code, path, dest } = error as NodeJS.ErrnoException & { dest?: string };
  const known = code === undefined || !Object.hasOwn(refusals, code) ? undefined : refusals[code];
  if (known === undefined) return undefined;
  const [what, hint] = known;
  const where = dest ?? path;
  return new Fail(`${where === undefined ? "" : `${where}: `}${what} (${code})`, { cause: error, hint });
}

/** Why the operating system refused a file that the user has named: here an absent one is no bug either. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (code === "ENOENT") return "it does not exist";
  return (code !== undefined && Object.hasOwn(refusals, code) && refusals[code]?.[0]) || messageOf(error);
}

/** The text of anything thrown, for a log line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
