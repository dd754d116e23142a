import { createServer, type RequestListener } from "node:http";
import { createServer as createTcpServer, type Server } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { Health } from "../../../../src/schema/health.ts";
import { checkHealth } from "../../../../src/system/health/health.ts";
import type { HealthShell } from "../../../../src/system/health/shell.ts";
import { run } from "../../../../src/system/run/run.ts";
import { silentLog } from "../../../../src/util/log.ts";

/** One try only. */
const once = { log: silentLog, signal: new AbortController().signal, slow: 0 };
const real: HealthShell = {
  run: (argv, options) =>
    run(argv, { accept: Array.from({ length: 256 }, (_none, code) => code), ...options }),
};

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

async function problem(url: string, more: object = {}): Promise<string | undefined> {
  const [result] = await checkHealth([Health.parse({ type: "http", url, ...more })], real, once);
  expect(result?.check).toBe(`http ${url}`);
  return result?.ok === true ? undefined : result?.detail;
}

const served = (answer: RequestListener) => listening(createServer(answer));

describe("a health check of a web server", () => {
  it("passes when it answers 200, by the name and path of the URL, at the address of the system itself", async () => {
    const asked: string[] = [];
    const port = await served(({ method, url, headers }, response) => {
      asked.push(`${method} ${url} ${headers.host}`);
      response.end("hello");
    });
    expect(await problem(`http://www.example.org:${port}/a%20b?c=$(id)'"&d`)).toBe(undefined);
    expect(asked).toEqual([`GET /a%20b?c=$(id)%27%22&d www.example.org:${port}`]);
  });

  it("takes the statuses that are named, and says which one came", async () => {
    const port = await served((_request, response) => response.writeHead(301).end());
    expect(await problem(`http://localhost:${port}/`, { status: [200, 301] })).toBe(undefined);
    expect(await problem(`http://localhost:${port}/`)).toBe("it answers 301, not 200");
  });

  it("finds a text in the answer, also where it comes in pieces, and shows what is there instead", async () => {
    const port = await served((_request, response) => {
      response.write("grüße,\r\nwor");
      setTimeout(() => response.end("ld"), 50);
    });
    const url = `http://localhost:${port}/`;
    expect(await problem(url, { contains: "grüße,\r\nworld" })).toBe(undefined);
    expect(await problem(url, { contains: "error" })).toBe(
      'its answer does not contain "error": grüße,\r\nworld',
    );
  });

  it("reads an answer whose end is that of the connection", async () => {
    const port = await listening(
      createTcpServer((socket) => {
        socket.on("error", () => {});
        socket.end("HTTP/1.0 200 OK\r\nServer: x\r\n\r\nall of it");
      }),
    );
    expect(await problem(`http://localhost:${port}/`, { contains: "all of it" })).toBe(undefined);
  });

  it("fails where no web server answers, or nothing at all", async () => {
    const server = createTcpServer((socket) => socket.resume().end("SSH-2.0-x\r\n\r\n"));
    const port = await listening(server);
    expect(await problem(`http://localhost:${port}/`)).toBe("it does not answer as a web server does");
    await new Promise((resolve) => server.close(resolve));
    expect(await problem(`http://localhost:${port}/`)).toMatch(/refused/i);
  });

  it("connects to the address that is named", async () => {
    const port = await served((_request, response) => response.end());
    expect(await problem(`http://www.example.org:${port}/`, { address: "127.0.0.1" })).toBe(undefined);
    expect(await problem(`http://localhost:${port}/`, { address: "::1" })).toMatch(/refused|unreach|assign/i);
  });
});
