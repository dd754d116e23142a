import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import type { Duplex } from "node:stream";
import { FromOperator, type FromRunner } from "../schema/base/journal.ts";
import { parsedJson } from "../util/digest.ts";

/** One line may hold the sealed secrets; anything longer is refused. */
const maxLineBytes = 8 * 1024 * 1024;
/** Operators that can be attached at a time. */
const maxConnections = 16;

interface Conversation {
  /** Called for every message; what it returns is sent. */
  onMessage(message: FromOperator, send: (answer: FromRunner) => void): void;
  /** Called when an operator attaches, before anything is read. Returns what to do when they leave. */
  onAttach(send: (message: FromRunner) => void): () => void;
}

/** Listens on a UNIX socket that only root may open; the way to it is the base's pinned SSH. */
export async function serve(path: string, conversation: Conversation): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer((socket) => converse(socket, conversation));
  server.maxConnections = maxConnections;
  const mask = process.umask(0o077);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
  return server;
}

/** Talks with an operator until the connection is closed. */
export function converse(socket: Duplex, conversation: Conversation): void {
  const send = (message: FromRunner) => {
    if (!socket.destroyed) socket.write(`${JSON.stringify(message)}\n`);
  };
  const detach = conversation.onAttach(send);
  let rest = "";
  socket.setEncoding("utf8");
  socket.on("error", () => socket.destroy());
  socket.on("close", detach);
  socket.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > maxLineBytes) {
      send({ type: "refused", message: `a line of more than ${maxLineBytes} bytes` });
      socket.destroy();
      return;
    }
    for (const line of lines) {
      const message = FromOperator.safeParse(parsedJson(line));
      if (message.success) conversation.onMessage(message.data, send);
      else send({ type: "refused", message: "not a message of this protocol" });
    }
  });
}
