import { closeSync, constants, existsSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readIfThere } from "../system/files/read-if-there.ts";
import { Fail } from "../util/fail.ts";

/** It reads an order at once, and needs nothing but memory for it. */
const answerMs = 30_000;
const lookEveryMs = 50;
/** What makes this kernel restart by itself, which after the first write would be into no system. */
const panics = ["hung_task_panic", "softlockup_panic", "hardlockup_panic", "panic_on_oops"];

/** The base's dead man (initramfs/init): it restarts into the old system when its time is over, and is armed until the first write. */
export interface DeadMan {
  /** Its time starts again. */
  rearm(): void;
  /** It stands down, and with it the watchdog; rejects where either does not. From here on nothing restarts this machine. */
  standDown(): Promise<void>;
}

/** The dead man that init has armed. Where it armed none, as in a virtual machine of the operator's, there is nothing to do. */
export function deadManOf(options: {
  /** Where init keeps its FIFO. */
  readonly directory: string;
  readonly seconds: number;
  readonly sysctl?: string;
  readonly watchdog?: string;
  readonly boundMs?: number;
}): DeadMan {
  const { directory, seconds, sysctl = "/proc/sys/kernel", watchdog = "/sys/class/watchdog" } = options;
  const fifo = join(directory, "deadman");
  const answer = join(directory, "deadman.off");
  const say = (line: string) => {
    // It holds the other end open; without it there is no reader (ENXIO), and nothing may wait for a reader.
    const file = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      writeSync(file, `${line}\n`);
    } finally {
      closeSync(file);
    }
  };
  return {
    rearm() {
      if (!existsSync(fifo)) return;
      try {
        say(String(seconds));
      } catch (error) {
        throw gone(error);
      }
    },
    async standDown() {
      if (!existsSync(fifo)) return;
      if (!existsSync(answer)) {
        try {
          say("off");
        } catch (error) {
          throw gone(error);
        }
        const until = Date.now() + (options.boundMs ?? answerMs);
        while (!existsSync(answer)) {
          if (Date.now() > until)
            throw new Fail("the base's dead man does not stand down", {
              hint: "no disk was written; it brings the old system back by itself",
            });
          await sleep(lookEveryMs);
        }
      }
      // "fed": the hardware cannot be stopped once it was started, and is fed as long as this base lives.
      const state = readIfThere(join(watchdog, "watchdog0/state"))?.trim();
      if (!/^fed/m.test(readFileSync(answer, "utf8")) && state === "active")
        throw new Fail("the machine's watchdog does not stop", {
          hint: "no disk was written; it would have ended the build",
        });
      for (const name of panics) if (existsSync(join(sysctl, name))) writeFileSync(join(sysctl, name), "0");
    },
  };
}

function gone(cause: unknown): Fail {
  return new Fail("the base's dead man is gone, so nothing would bring the old system back", {
    cause,
    hint: "no disk was written; deploy again",
  });
}
