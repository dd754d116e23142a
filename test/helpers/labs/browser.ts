import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { tempDir } from "../temp-dir.ts";

/** Bound of one answer of the browser. */
const answerMs = 60_000;

type Params = Readonly<Record<string, unknown>>;
interface Message {
  readonly id?: number;
  readonly method?: string;
  // biome-ignore lint/suspicious/noExplicitAny: what Chromium answers, which the test looks through
  readonly result?: any;
  readonly params?: Params;
  readonly error?: { readonly message: string };
}

export interface Tab {
  send(method: string, params?: Params): Promise<Message["result"]>;
  /** What the browser reported by itself. */
  readonly events: readonly Message[];
}

/** A page of Debian's Chromium, driven through a pipe: nothing listens. */
export async function withBrowser(work: (tab: Tab) => Promise<void>): Promise<void> {
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"];
  const browser = spawn("chromium", [...flags, `--user-data-dir=${tempDir()}`, "about:blank"], {
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
  });
  const ended = once(browser, "exit");
  try {
    await once(browser, "spawn");
    await work(await tabOf(browser));
  } finally {
    browser.kill();
    await ended.catch(() => {});
  }
}

async function tabOf(browser: ChildProcess): Promise<Tab> {
  const to = browser.stdio[3] as Writable;
  const from = browser.stdio[4] as Readable;
  const waiting = new Map<number, (message: Message) => void>();
  const events: Message[] = [];
  let rest = "";
  from.setEncoding("utf8").on("data", (text: string) => {
    const messages = `${rest}${text}`.split("\0");
    rest = messages.pop()!;
    for (const message of messages.map((one) => JSON.parse(one) as Message))
      if (message.id === undefined) events.push(message);
      else waiting.get(message.id)?.(message);
  });
  let last = 0;
  const ask = async (method: string, params: Params, sessionId?: string) => {
    const id = ++last;
    const answer = new Promise<Message>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no answer`)), answerMs);
      waiting.set(id, (message) => {
        clearTimeout(timer);
        resolve(message);
      });
    });
    to.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    const { result, error } = await answer;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  };
  const { targetId } = await ask("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await ask("Target.attachToTarget", { targetId, flatten: true });
  return { events, send: (method, params = {}) => ask(method, params, sessionId) };
}
