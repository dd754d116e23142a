import { chmodSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { Fail, messageOf } from "../util/fail.ts";
import { Secret } from "../util/secret.ts";

/** A file of many identities is far smaller. */
const maxBytes = 64 * 1024;
const sendMs = 60_000;
/** What a client takes for a refusal. */
const refusal = "FAILED: ";

/** The identity that an operator has sent over SSH: in memory alone, until the machine restarts. */
export class SentIdentity {
  #text: Secret | undefined;
  #came: () => void = () => {};

  get text(): Secret | undefined {
    return this.#text;
  }

  take(text: Secret): void {
    this.#text?.wipe();
    this.#text = text;
    this.#came();
  }

  /** Resolves when an identity comes from now on. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#came = resolve;
    });
  }
}

/**
 * Takes identities from root's logins: `imgbuild-rescue --identity` connects, writes its stdin and shows the answer. `take` fails for what
 * opens nothing.
 */
export function serveIdentity(path: string, take: (text: Secret) => Promise<string>): void {
  rmSync(path, { force: true });
  createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {}).setTimeout(sendMs, () => socket.destroy());
    void answer(socket, take);
  }).listen(path, () => chmodSync(path, 0o600));
}

async function answer(socket: Socket, take: (text: Secret) => Promise<string>): Promise<void> {
  try {
    socket.end(`${await take(await readSecret(socket))}\n`);
  } catch (error) {
    const hint = error instanceof Fail && error.hint !== undefined ? `\n${error.hint}` : "";
    socket.end(`${refusal}${messageOf(error)}${hint}\n`);
  }
}

async function readSecret(socket: Socket): Promise<Secret> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new Fail(`an identity has at most ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const text = new Secret("identity", Buffer.concat(chunks));
  for (const chunk of chunks) chunk.fill(0);
  return text;
}
