import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { Fail } from "../../util/fail.ts";

/** After SIGKILL. A process in uninterruptible sleep, as on a disk that does not answer, takes no signal. */
const unkillableMs = 10_000;

/** A child's end; the wait for it is bounded once it was killed. */
interface Ended {
  /** Exit code and signal when the child and its pipes are closed; a Fail when it does not end after a kill. */
  readonly end: Promise<[number | null, string | null]>;
  /** It was killed just now. */
  killed(): void;
  /** Takes back the wait. */
  done(): void;
}

/** Watches a child; `name` is how a failure calls it. */
export function endOf(child: ChildProcess, name: string, boundMs: number = unkillableMs): Ended {
  let timer: NodeJS.Timeout | undefined;
  let giveUp: (error: Fail) => void = () => {};
  const stuck = new Promise<never>((_resolve, reject) => {
    giveUp = reject;
  });
  const closed = once(child, "close") as Promise<[number | null, string | null]>;
  const end = Promise.race([closed, stuck]);
  // A rejection may come before the caller waits.
  for (const one of [stuck, closed, end]) one.catch(() => {});
  return {
    end,
    killed: () => {
      timer ??= setTimeout(() => {
        for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
        child.unref();
        giveUp(
          new Fail(`${name} was killed and has not ended within ${Math.round(boundMs / 1000)} s`, {
            hint: "it waits for a device that does not answer: `dmesg` may say which",
          }),
        );
      }, boundMs);
    },
    done: () => clearTimeout(timer),
  };
}
