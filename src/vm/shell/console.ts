import { Fail } from "../../util/fail.ts";
import { within } from "../../util/promises.ts";
import { visibleLine } from "../../util/visible.ts";

/** Serial text kept in memory; older text is dropped from the front, the log file has all of it. */
const maxCharacters = 4 * 1024 * 1024;
/** How many lines of the end a failure shows. */
const tailLines = 25;

/** What a machine said on its serial console up to where it is now, and waiting for it to say something. */
export interface Console {
  readonly text: string;
  /** The end of the text, for messages. */
  tail(): string;
  /** What came after a mark, readable on any terminal. */
  since(mark: number): string;
  /** A position: pass it as `after` to look only at what comes later, as after a reboot. */
  mark(): number;
  /** The first match in the text; fails with the console's tail when there is none within `timeoutMs`. */
  waitFor(pattern: RegExp, timeoutMs: number, after?: number): Promise<RegExpMatchArray>;
}

/** A console and the two ends that feed it: text as it comes, and the end of the machine. */
export function makeConsole(): {
  console: Console;
  append: (text: string) => void;
  close: (reason: string) => void;
  /** The machine is switched on again. */
  reopen: () => void;
  /** The machine is again as it was when it had shown this text, and no more. */
  rewind: (shown: string) => void;
} {
  let text = "";
  let dropped = 0;
  let closed: string | undefined;
  const watchers = new Set<() => void>();
  const wake = () => {
    for (const watcher of [...watchers]) watcher();
  };

  const console: Console = {
    get text() {
      return text;
    },
    tail: () => tailOf(text),
    since: (mark) => readable(text.slice(Math.max(0, mark - dropped))).join("\n"),
    mark: () => dropped + text.length,
    waitFor: (pattern, timeoutMs, after = 0) => {
      const failure = (why: string) =>
        new Fail(`${why}; the console's end:\n${tailOf(text) || "(nothing was printed)"}`);
      const seconds = Math.round(timeoutMs / 1000);
      const late = () => failure(`the console did not show ${pattern} within ${seconds} s`);
      return within(timeoutMs, late, (resolve, reject) => {
        const look = () => {
          const match = text.slice(Math.max(0, after - dropped)).match(pattern);
          if (match !== null) resolve(match);
          else if (closed !== undefined) reject(failure(`${closed} before the console showed ${pattern}`));
        };
        watchers.add(look);
        look();
        return () => void watchers.delete(look);
      });
    },
  };
  return {
    console,
    append: (more) => {
      text += more;
      if (text.length > maxCharacters) {
        const drop = text.length - maxCharacters / 2;
        text = text.slice(drop);
        dropped += drop;
      }
      wake();
    },
    close: (reason) => {
      closed = reason;
      wake();
    },
    reopen: () => {
      closed = undefined;
    },
    rewind: (shown) => {
      // Marks stay in order: those of now come after what was shown then.
      dropped += text.length - shown.length;
      text = shown;
    },
  };
}

function tailOf(text: string): string {
  return readable(text.slice(-16_384)).slice(-tailLines).join("\n");
}

/** Lines without the escape sequences of firmware menus, which would repaint the reader's terminal; what is left of others is shown. */
function readable(text: string): string[] {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal control sequences are what is removed
      .replace(/\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>c78])/g, "")
      .replace(/\r/g, "")
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map((line) => visibleLine(line))
  );
}
