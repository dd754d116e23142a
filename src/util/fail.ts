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

/** Process exit codes, as documented in the README. */
export const exitCodes = { done: 0, failed: 1, usage: 2, refused: 3, bug: 70, interrupted: 130 } as const;

/** Runs `work`; a failure inside is told as having happened during `doing` ("formatting /dev/vda2"). Bugs pass untouched. */
export async function during<T>(doing: string, work: () => Promise<T> | T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    throw new Fail(`${doing}: ${error.message}`, {
      cause: error.cause ?? error,
      exitCode: error.exitCode,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}

/** The text of anything thrown, for a log line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
