import type { Duplex } from "node:stream";
import {
  type BaseReport,
  type FromOperator,
  FromRunner,
  type JournalEntry,
  protocolVersion,
} from "../../schema/base/journal.ts";
import { parsedJson } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { settlesWithin } from "../../util/promises.ts";

/** The runner's socket in the base. */
export const runnerSocket = "/run/imgbuild/runner.sock";
/** As text it must fit into a line that the runner reads (8 MiB). */
const maxPayloadBytes = 5 * 1024 * 1024;
const replaceMs = 120_000;
const abortMs = 30_000;
/** A runner that works says something more often than this; one that does not is asked whether it is still there. */
const quietMs = 180_000;
/** A message is at most a journal entry or a report; more is not a runner. */
const maxLineBytes = 4 * 1024 * 1024;

export type Hello = Extract<FromRunner, { type: "hello" }>;

/** A conversation with a runner: the greeting first, then the journal as it grows, at last the report. */
export interface RunnerLink {
  readonly hello: Hello;
  send(message: FromOperator): void;
  /** Brings another payload; resolves with its plan's digest when the runner takes it. Before `follow`. */
  replace(publicKey: string, payload: Uint8Array): Promise<string>;
  /** Sends the machine back. True when the runner does it, false when it is not known; a Fail when it refuses. Before `follow`. */
  abort(): Promise<boolean>;
  /** Resolves with the report; rejects when the link is lost, the runner hangs or refuses. */
  follow(after: number, onEntry: (entry: JournalEntry) => void, quiet?: Quiet): Promise<BaseReport>;
  close(): void;
}

/** What is done about a runner that says nothing. */
interface Quiet {
  /** Opens another stream to the runner's socket. */
  readonly open: () => Promise<Duplex>;
  /** Factor on the times, for a slow machine. */
  readonly slow: number;
  readonly boundMs?: number;
}

/** Waits for the greeting on an open stream to the runner's socket. */
export async function greet(stream: Duplex, timeoutMs: number): Promise<RunnerLink> {
  const lines = messagesOf(stream);
  const hello = await bounded(lines.next(), timeoutMs, () => stream.destroy());
  if (hello === undefined || hello.type !== "hello") {
    stream.destroy();
    throw new Fail("the base's runner did not greet", { hint: "`imgbuild follow` shows what it does" });
  }
  if (hello.protocol !== protocolVersion) {
    stream.destroy();
    throw new Fail(`the runner speaks protocol ${hello.protocol}, this imgbuild ${protocolVersion}`, {
      hint: "use the imgbuild that started the deploy",
    });
  }
  return {
    hello,
    send: (message) => stream.write(`${JSON.stringify(message)}\n`),
    async replace(publicKey, payload) {
      if (payload.length > maxPayloadBytes)
        throw new Fail(`the payload of ${payload.length} bytes is too large to be brought to a base`, {
          hint: "large files of the definition belong into a package",
        });
      const message = {
        type: "replace" as const,
        publicKey,
        payload: Buffer.from(payload).toString("base64"),
      };
      stream.write(`${JSON.stringify(message satisfies FromOperator)}\n`);
      const answer = await bounded(lines.next(), replaceMs, () => stream.destroy());
      if (answer?.type === "replaced") return answer.planDigest;
      throw new Fail(
        answer?.type === "refused"
          ? `the runner refused: ${answer.message}`
          : "the base does not take another definition",
        { hint: "a base of an older imgbuild knows no way to; reinstall the machine by a rescue system" },
      );
    },
    async abort() {
      stream.write(`${JSON.stringify({ type: "abort" } satisfies FromOperator)}\n`);
      const answer = await bounded(lines.next(), abortMs, () => stream.destroy());
      if (answer?.type === "refused")
        throw new Fail(
          `the runner refused: ${answer.message}`,
          answer.hint === undefined ? {} : { hint: answer.hint },
        );
      return answer?.type === "returning";
    },
    async follow(after, onEntry, quiet) {
      stream.write(`${JSON.stringify({ type: "follow", after } satisfies FromOperator)}\n`);
      for (;;) {
        const message = await spoken(lines.next(), quiet);
        if (message === undefined) throw new LinkLost("the connection to the base was lost");
        if (message.type === "journal") onEntry(message.entry);
        else if (message.type === "report") return message.report;
        else if (message.type === "refused")
          throw new Fail(
            `the runner refused: ${message.message}`,
            message.hint === undefined ? {} : { hint: message.hint },
          );
        else if (message.type === "hello")
          throw new Fail(
            `the runner died and was started anew: ${message.message ?? "it does not know why"}`,
          );
      }
    },
    close: () => stream.destroy(),
  };
}

/** The link ended before the report, or the runner hangs; whether it goes on is not known. */
export class LinkLost extends Fail {}

/** Waits for what the runner says next, for as long as it greets whoever comes. */
async function spoken<T>(next: Promise<T>, quiet: Quiet | undefined): Promise<T> {
  if (quiet === undefined) return await next;
  const boundMs = (quiet.boundMs ?? quietMs) * Math.max(1, quiet.slow);
  while (!(await settlesWithin(next, boundMs))) {
    const isThere = await quiet
      .open()
      .then((stream) => greet(stream, boundMs))
      .then((link) => {
        link.close();
        return true;
      })
      .catch(() => false);
    // It may have spoken meanwhile.
    if (!isThere && !(await settlesWithin(next, 0)))
      throw new LinkLost(
        `the runner has said nothing for ${Math.round((2 * boundMs) / 1000)} s and greets nobody`,
      );
  }
  return await next;
}

function messagesOf(stream: Duplex): { next(): Promise<FromRunner | undefined> } {
  const queue: FromRunner[] = [];
  let waiting: ((message: FromRunner | undefined) => void) | undefined;
  let ended = false;
  let rest = "";
  const deliver = (message: FromRunner | undefined) => {
    if (waiting !== undefined) {
      const resolve = waiting;
      waiting = undefined;
      resolve(message);
    } else if (message !== undefined) queue.push(message);
  };
  const end = () => {
    ended = true;
    deliver(undefined);
  };
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > maxLineBytes) stream.destroy();
    for (const line of lines) {
      const message = FromRunner.safeParse(parsedJson(line)).data;
      if (message === undefined) stream.destroy();
      else deliver(message);
    }
  });
  stream.on("error", end);
  stream.on("end", end);
  stream.on("close", end);
  return {
    next: () =>
      new Promise((resolve) => {
        const message = queue.shift();
        if (message !== undefined || ended) resolve(message);
        else waiting = resolve;
      }),
  };
}

async function bounded<T>(
  work: Promise<T>,
  timeoutMs: number,
  onTimeout: () => void,
): Promise<T | undefined> {
  if (await settlesWithin(work, timeoutMs)) return await work;
  onTimeout();
  return undefined;
}
