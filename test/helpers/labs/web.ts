import { createReadStream, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export interface Web {
  /** Base URL, without a slash at the end. */
  readonly url: string;
  /** Paths in the order in which they were asked for. */
  readonly asked: string[];
  readonly server: Server;
}

/** A web server on loopback for one test; `answer` is called for every request. */
export async function web(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Web> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, server };
}

/** Serves the files given by path; everything else is 404. */
export async function webOf(files: ReadonlyMap<string, string | Uint8Array>): Promise<Web> {
  return await web((request, response) => {
    const body = files.get((request.url ?? "").slice(1));
    response.writeHead(body === undefined ? 404 : 200);
    response.end(body);
  });
}

/** Serves files of this machine by the paths that are asked for, and parts of them. */
export async function webOfFiles(fileOf: (asked: string) => string | undefined): Promise<Web> {
  return await web((request, response) => {
    const file = fileOf(request.url ?? "");
    const size = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false })?.size;
    if (file === undefined || size === undefined) return void response.writeHead(404).end();
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    const start = Number(from ?? 0);
    if (start >= size) return void response.writeHead(416).end();
    const end = to === undefined || to === "" ? size - 1 : Math.min(Number(to), size - 1);
    response.writeHead(from === undefined ? 200 : 206, {
      "content-length": end - start + 1,
      ...(from === undefined ? {} : { "content-range": `bytes ${start}-${end}/${size}` }),
    });
    createReadStream(file, { start, end }).pipe(response);
  });
}

/** What a captive portal says to everything. */
export async function portal(): Promise<Web> {
  return await web((_request, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.end("<html>Welcome! Please accept our terms.</html>\n");
  });
}

/** Nobody listens there: the port was free a moment ago. */
export async function deadUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}
