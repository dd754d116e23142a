import { setTimeout as sleep } from "node:timers/promises";
import { trimmed } from "../../steps/step/secret-input.ts";
import type { Host } from "../../transport/host.ts";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import type { Secret } from "../../util/secret.ts";

/** A person may have to look for the passphrase; dropbear ends a session that says nothing as late. */
const sessionMs = 300_000;
const tryEveryMs = 2_000;
/** No start asks for so many. */
const maxQuestions = 60;

/** What opens a volume; `tries`: how often an answer was wrong. */
export type Passphrases = (volume: string, tries: number) => Promise<Secret>;

/** The initramfs did not take a passphrase. */
export class WrongPassphrase extends Fail {}

/**
 * Answers an initramfs until all volumes that it asks for are open: their names. The passphrase goes through the session's stdin. That the
 * connection breaks after an answer is how it ends, as the start goes on. A wrong answer throws unless `again`: three end the questions.
 */
export async function givePassphrases(
  host: Pick<Host, "exec" | "closed">,
  passphrases: Passphrases,
  { log, signal, again }: { readonly log: Log; readonly signal: AbortSignal; readonly again: boolean },
): Promise<string[]> {
  const opened: string[] = [];
  let wrong = 0;
  for (let questions = 0; questions < maxQuestions; questions += 1) {
    signal.throwIfAborted();
    const isLast = opened.length > 0;
    const answered = await answer(host, (volume) => passphrases(volume, wrong), { signal, isLast });
    if (answered.volume === undefined && answered.is === "open") return opened;
    if (answered.is === "open") {
      log.info(`${answered.volume} is open`);
      opened.push(answered.volume!);
      wrong = 0;
    }
    if (host.closed) return opened;
    if (answered.is === "wrong") {
      if (!again)
        throw new WrongPassphrase(`the passphrase does not open ${answered.volume}`, {
          hint: "type it at the console, or with `imgbuild unlock --ask`",
        });
      log.warn(`that does not open ${answered.volume}`);
      wrong += 1;
    }
    if (answered.is === "early") await sleep(tryEveryMs, undefined, { signal });
  }
  throw new Fail(`the initramfs asked ${maxQuestions} times`, { hint: "look at the machine's console" });
}

interface Answered {
  /** "early": nothing is asked yet. */
  readonly is: "open" | "wrong" | "early";
  readonly volume?: string | undefined;
}

/**
 * One session of cryptroot-unlock: it names the volume, reads the passphrase, and says whether it opened. `isLast`: something is open
 * already, so the start may go on at any time.
 */
async function answer(
  host: Pick<Host, "exec" | "closed">,
  passphrase: (volume: string) => Promise<Secret>,
  { signal, isLast }: { readonly signal: AbortSignal; readonly isLast: boolean },
): Promise<Answered> {
  let volume: string | undefined;
  let answered = isLast;
  let say: (bytes: Promise<Uint8Array>) => void = () => {};
  const said = new Promise<Uint8Array>((resolve) => {
    say = resolve;
  });
  const onLine = (line: string) => {
    const asked = /^Please unlock disk (\S+)/.exec(line)?.[1];
    if (asked === undefined || volume !== undefined) return;
    volume = asked;
    const bytes = passphrase(asked).then((secret) => trimmed(secret.expose()));
    bytes.then(
      () => {
        answered = true;
      },
      () => {},
    );
    say(bytes);
  };
  try {
    const { code, stderr } = await host.exec(["cryptroot-unlock"], {
      ...{ answer: said, onLine, signal, accept: [0, 1], timeoutMs: sessionMs },
    });
    if (code === 0) return { is: "open", volume };
    return { is: /bad password|maximum number of tries/.test(stderr) ? "wrong" : "early", volume };
  } catch (error) {
    const isEnded =
      host.closed || (error instanceof Fail && /was killed by|without an exit/.test(error.message));
    // It is ended with the session when the start goes on.
    if (answered && isEnded && !signal.aborted) return { is: "open", volume };
    throw error;
  }
}
