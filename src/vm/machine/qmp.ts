import type { Duplex } from "node:stream";
import { Fail } from "../../util/fail.ts";
import { within } from "../../util/promises.ts";

/** Bound of one command where the caller names none; QEMU answers at once unless it works on a snapshot. */
const defaultTimeoutMs = 30_000;

/** A conversation with QEMU's monitor (QMP: JSON lines; one command at a time is all we need). */
export interface Qmp {
  /** Runs one command and gives its `return` value. */
  execute(command: string, args?: Readonly<Record<string, unknown>>, timeoutMs?: number): Promise<unknown>;
  /** Names of the events so far, oldest first. */
  readonly events: readonly string[];
  /** Called with every event from now on. */
  onEvent(handle: (name: string, data: Readonly<Record<string, unknown>>) => void): void;
  /** The next event of this name that `matches`; call it before what causes it. */
  waitForEvent(
    name: string,
    matches: (data: Readonly<Record<string, unknown>>) => boolean,
    timeoutMs: number,
  ): Promise<void>;
}

/** Opens the conversation: waits for the greeting, leaves the negotiation mode. */
export async function openQmp(socket: Duplex, timeoutMs = defaultTimeoutMs): Promise<Qmp> {
  const events: string[] = [];
  const waiting = new Map<string, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  const watchers = new Set<(name: string, data: Readonly<Record<string, unknown>>) => void>();
  let nextId = 0;
  let closed: Error | undefined;

  const onMessage = (message: QmpMessage) => {
    if (message.QMP !== undefined) waiting.get("greeting")?.resolve(message.QMP);
    if (message.event !== undefined) {
      events.push(message.event);
      for (const watcher of [...watchers]) watcher(message.event, message.data ?? {});
    }
    if (message.id === undefined) return;
    if (message.error !== undefined) waiting.get(message.id)?.reject(new Fail(message.error.desc));
    else waiting.get(message.id)?.resolve(message.return);
  };
  const onEnd = () => {
    closed ??= new Fail("QEMU closed its monitor");
    for (const one of waiting.values()) one.reject(closed);
  };
  readLines(socket, onMessage);
  socket.on("error", onEnd);
  socket.on("close", onEnd);
  socket.on("end", onEnd);

  const answer = (id: string, doing: string, boundMs: number) =>
    within<unknown>(
      boundMs,
      () => new Fail(`QEMU did not answer ${doing} within ${boundMs / 1000} s`),
      (resolve, reject) => {
        if (closed !== undefined) reject(closed);
        waiting.set(id, { resolve, reject });
        return () => void waiting.delete(id);
      },
    );

  await answer("greeting", "with its greeting", timeoutMs);
  const execute: Qmp["execute"] = async (command, args, boundMs = defaultTimeoutMs) => {
    nextId += 1;
    const id = String(nextId);
    const reply = answer(id, command, boundMs);
    socket.write(`${JSON.stringify({ execute: command, id, ...(args && { arguments: args }) })}\n`);
    return reply;
  };
  await execute("qmp_capabilities", undefined, timeoutMs);
  const waitForEvent: Qmp["waitForEvent"] = (name, matches, boundMs) =>
    within(
      boundMs,
      () => new Fail(`QEMU did not report ${name} within ${boundMs / 1000} s`),
      (resolve, reject) => {
        const watch = (event: string, data: Readonly<Record<string, unknown>>) => {
          if (event === name && matches(data)) resolve();
        };
        watchers.add(watch);
        socket.once("close", () => reject(closed ?? new Fail("QEMU closed its monitor")));
        return () => void watchers.delete(watch);
      },
    );
  return { execute, events, waitForEvent, onEvent: (handle) => void watchers.add(handle) };
}

interface QmpMessage {
  readonly QMP?: unknown;
  readonly event?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly id?: string;
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

function readLines(socket: Duplex, onMessage: (message: QmpMessage) => void): void {
  let rest = "";
  socket.setEncoding("utf8");
  socket.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") onMessage(JSON.parse(line) as QmpMessage);
  });
}
