import type { Log } from "../../util/log.ts";
import { redacted } from "../../util/redacted.ts";

/** Lines that are shown; the rest is in `tail` alone. */
const shownLines = 200;

/** Shows what a program of backups prints: a share as progress, other lines as they are. */
export function shower(log: Log): {
  readonly show: (line: string) => void;
  readonly tail: readonly string[];
} {
  const tail: string[] = [];
  let shown = 0;
  let before = -1;
  return {
    tail,
    show: (raw) => {
      const line = redacted(raw).trimEnd();
      const share = /(?:^|[^\d.])(\d{1,3})(?:\.\d+)?%/.exec(line)?.[1];
      if (share !== undefined) {
        if (Number(share) !== before) log.progress(Number(share), 100, "%");
        before = Number(share);
        return;
      }
      if (line.trim() === "" || line.startsWith("{")) return;
      tail.push(line);
      shown += 1;
      if (shown <= shownLines) log.info(line);
    },
  };
}
