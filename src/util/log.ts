/** Where progress goes. Gerunds for tasks ("unpacking 135 packages"), sentences for the rest; never secrets. */
export interface Log {
  /** A unit of work, nested and timed; ends with `work`, whatever its outcome. */
  task<T>(doing: string, work: (log: Log) => Promise<T>): Promise<T>;
  info(message: string): void;
  warn(message: string): void;
  /** How far the current task is; `unit` as in "packages" or "MiB". */
  progress(done: number, total: number, unit: string): void;
}

/** A log that says nothing, for tests and for callers that do not care. */
export const silentLog: Log = {
  task: (_doing, work) => work(silentLog),
  info: () => {},
  warn: () => {},
  progress: () => {},
};
