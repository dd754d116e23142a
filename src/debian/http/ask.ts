import { once } from "node:events";
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP, type Socket } from "node:net";
import type { Readable } from "node:stream";
import { type TLSSocket, connect as tlsConnect } from "node:tls";
import { rememberedLookup } from "./names.ts";
import { type Proxies, proxyFor } from "./proxy.ts";

const maxRedirects = 5;
const lookup = rememberedLookup();

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Readable;
}

export interface AskOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly proxies: Proxies;
  readonly method?: "GET" | "HEAD" | "POST" | "PUT";
  /** What is sent; its length is in the headers. */
  readonly body?: () => Readable;
  /** Redirects that are followed, among those that do not lead from https to http. */
  readonly mayGo?: (to: URL) => boolean;
}

/** The answer of an http or https URL, redirects followed. The body has to be read or destroyed. */
export async function follow(url: URL, options: AskOptions): Promise<Answer> {
  let at = url;
  let { headers } = options;
  for (let redirects = 0; ; redirects += 1) {
    const answer = await ask(at, { ...options, headers });
    const { location } = answer.headers;
    if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) return answer;
    answer.body.destroy();
    const next = new URL(location, at);
    if (redirects === maxRedirects) throw new Error(`more than ${maxRedirects} redirects`);
    const allowed = at.protocol === "https:" ? ["https:"] : ["http:", "https:"];
    if (!allowed.includes(next.protocol) || options.mayGo?.(next) === false)
      throw new Error(`redirected to ${next.protocol}//, which is refused`);
    // A login is for the server that it was made for.
    if (next.origin !== at.origin) headers = withoutLogin(headers);
    at = next;
  }
}

/** What a status that is no success means to a person. */
export function answered(status: number): string {
  return `the server answered ${status}${status === 401 ? " (it wants another login)" : ""}`;
}

function withoutLogin({ authorization, ...others }: AskOptions["headers"]): AskOptions["headers"] {
  return others;
}

/** The answer to one request, whatever it is. */
async function ask(url: URL, options: AskOptions): Promise<Answer> {
  const proxy = proxyFor(url, options.proxies);
  // Some servers declare a .gz file as encoded, and it would arrive unpacked.
  const headers = { "accept-encoding": "identity", "user-agent": "imgbuild", ...options.headers };
  const { signal, method = "GET", body } = options;
  const asking = { method, signal };
  if (proxy === undefined) {
    const request = url.protocol === "https:" ? httpsRequest : httpRequest;
    return await answerTo(request(url, { ...asking, headers, lookup }), body);
  }
  if (url.protocol === "http:")
    return await answerTo(
      httpRequest({
        ...asking,
        ...hostOf(proxy),
        path: url.href,
        headers: { ...headers, host: url.host, ...credentials(proxy) },
      }),
      body,
    );
  const socket = await tunnel(proxy, url, signal);
  const secure = await encrypt(socket, url, signal);
  return await answerTo(
    httpsRequest(url, { ...asking, headers, agent: false, createConnection: () => secure }),
    body,
  );
}

async function encrypt(socket: Socket, url: URL, signal: AbortSignal): Promise<TLSSocket> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const secure = tlsConnect({ socket, host, ...(isIP(host) === 0 ? { servername: host } : {}) });
  const stop = () => secure.destroy(new Error("aborted"));
  signal.addEventListener("abort", stop, { once: true });
  try {
    await once(secure, "secureConnect");
    return secure;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** A connection to a host through a proxy (CONNECT of RFC 9110). */
async function tunnel(proxy: URL, url: URL, signal: AbortSignal): Promise<Socket> {
  const host = `${url.hostname}:${url.port || "443"}`;
  const request = httpRequest({
    ...hostOf(proxy),
    method: "CONNECT",
    path: host,
    headers: { host, ...credentials(proxy) },
    agent: false,
    signal,
  });
  return await new Promise((resolve, reject) => {
    request.on("error", reject);
    request.on("connect", (answer, socket) => {
      if (answer.statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new Error(`the proxy ${proxy.host} answered ${answer.statusCode}`));
    });
    request.on("response", (answer) => {
      answer.destroy();
      reject(new Error(`the proxy ${proxy.host} answered ${answer.statusCode}`));
    });
    request.end();
  });
}

function hostOf(proxy: URL): RequestOptions {
  return { host: proxy.hostname.replace(/^\[|\]$/g, ""), port: proxy.port || 80, lookup };
}

function credentials({ username, password }: URL): Record<string, string> {
  if (username === "") return {};
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(text).toString("base64")}` };
}

async function answerTo(request: ClientRequest, body?: () => Readable): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    request.on("error", reject);
    request.on("response", (response: IncomingMessage) => {
      const headers = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
      resolve({ status: response.statusCode ?? 0, headers: Object.fromEntries(headers), body: response });
    });
    if (body === undefined) return void request.end();
    const content = body();
    request.on("close", () => content.destroy());
    content.on("error", (error) => request.destroy(error));
    content.pipe(request);
  });
}
