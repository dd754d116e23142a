import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** For one answer. */
const answerMs = 120_000;

interface Item {
  readonly label: string;
  readonly documentation?: string | { readonly value: string };
}
interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly result?: unknown;
  readonly params?: { readonly items?: readonly unknown[] };
}

/** The language server of TypeScript in a directory, as an editor talks to it. */
export async function startLanguageServer(tsc: string, directory: string) {
  const child = spawn(tsc, ["--lsp", "--stdio"], { cwd: directory, stdio: ["pipe", "pipe", "ignore"] });
  const waiting = new Map<number, (result: unknown) => void>();
  let said = Buffer.alloc(0);
  let asked = 0;
  const send = (message: object) => {
    const text = JSON.stringify({ jsonrpc: "2.0", ...message });
    child.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
  };
  child.stdout.on("data", (piece: Buffer) => {
    said = Buffer.concat([said, piece]);
    for (let end = said.indexOf("\r\n\r\n"); end >= 0; end = said.indexOf("\r\n\r\n")) {
      const length = Number(/Content-Length: (\d+)/i.exec(said.subarray(0, end).toString())?.[1]);
      if (said.length < end + 4 + length) return;
      take(JSON.parse(said.subarray(end + 4, end + 4 + length).toString()) as Message);
      said = said.subarray(end + 4 + length);
    }
  });
  const take = ({ id, method, result, params }: Message) => {
    if (id === undefined) return;
    // What it asks of an editor has no answer here.
    if (method !== undefined) send({ id, result: params?.items?.map(() => null) ?? null });
    else waiting.get(id)?.(result);
  };
  const ask = (method: string, params: object) =>
    new Promise<unknown>((resolve, reject) => {
      asked += 1;
      const timer = setTimeout(() => reject(new Error(`no answer to ${method}`)), answerMs);
      waiting.set(asked, (result) => {
        clearTimeout(timer);
        resolve(result);
      });
      send({ id: asked, method, params });
    });
  const completionItem = { documentationFormat: ["plaintext"] };
  const capabilities = { textDocument: { completion: { completionItem } } };
  await ask("initialize", { processId: process.pid, rootUri: pathToFileURL(directory).href, capabilities });
  send({ method: "initialized", params: {} });
  let version = 0;

  return {
    /** What is offered at `|` in a text, with the documentation of `of`. */
    async offered(text: string, of?: string): Promise<{ names: string[]; words: string }> {
      const at = text.indexOf("|");
      const whole = text.slice(0, at) + text.slice(at + 1);
      version += 1;
      const file = join(directory, `at${version}.ts`);
      writeFileSync(file, whole);
      const uri = pathToFileURL(file).href;
      send({
        method: "textDocument/didOpen",
        params: { textDocument: { uri, languageId: "typescript", version, text: whole } },
      });
      const before = text.slice(0, at).split("\n");
      const position = { line: before.length - 1, character: before.at(-1)!.length };
      const result = await ask("textDocument/completion", { textDocument: { uri }, position });
      const items = (Array.isArray(result) ? result : (result as { items?: Item[] } | null)?.items) as
        | Item[]
        | undefined;
      const names = (items ?? []).map(({ label }) => label.replace(/\?$/, ""));
      const item = items?.find(({ label }) => label.replace(/\?$/, "") === of);
      if (item === undefined) return { names, words: "" };
      const { documentation = "" } = (await ask("completionItem/resolve", item)) as Item;
      return { names, words: typeof documentation === "string" ? documentation : documentation.value };
    },
    stop: () => child.kill(),
  };
}
