import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { type Answer, type AskOptions, follow } from "./ask.ts";
import type { LoginSource } from "./login-files.ts";
import { getFromRegistry } from "./registry-store.ts";

interface GetOptions extends Pick<AskOptions, "headers" | "signal" | "proxies"> {
  readonly method?: "GET" | "HEAD";
  /** Where the login of a registry may be. */
  readonly logins?: readonly LoginSource[] | undefined;
}

/**
 * The answer to GET, or what else is asked for, of an http, https or file URL, or of a store's path in a registry (`oci://…`), redirects
 * followed. The body has to be read or destroyed.
 */
export async function get(url: string, options: GetOptions): Promise<Answer> {
  if (url.startsWith("oci:")) return await getFromRegistry(url, options);
  const at = new URL(url);
  return at.protocol === "file:" ? await readLocal(at, options) : await follow(at, options);
}

/** A file as a server would give it, with the part that is asked for. */
async function readLocal(url: URL, { headers, signal }: GetOptions): Promise<Answer> {
  const path = fileURLToPath(url);
  const found = await stat(path).catch(() => undefined);
  const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? 0);
  if (!found?.isFile()) return { status: 404, headers: {}, body: Readable.from([]) };
  if (from > 0 && from >= found.size) return { status: 416, headers: {}, body: Readable.from([]) };
  return {
    status: from > 0 ? 206 : 200,
    headers: { "content-range": `bytes ${from}-${found.size - 1}/${found.size}` },
    body: createReadStream(path, { start: from, signal }),
  };
}
