import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { download, downloadTo, type TransferBounds } from "../../../../src/debian/http/http.ts";
import type { Proxies } from "../../../../src/debian/http/proxy.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { type Web, web, webOf } from "../../../helpers/labs/web.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const bounds: TransferBounds = { windowMs: 2_000, leastBytes: 1, pauseMs: 1 };
const content = Buffer.from(Array.from({ length: 4000 }, (_none, index) => index % 251));
const what = {
  path: "pool/a.deb",
  maxBytes: content.length,
  size: content.length,
  sha256: sha256(content),
  bounds,
};

/** A server that knows ranges; `cut` bytes of an answer are sent before the connection breaks. */
async function ranged(
  options: { cut?: number[]; body?: Buffer; ignore?: boolean } = {},
): Promise<Web & { ranges: string[] }> {
  const { body = content, ignore = false } = options;
  const cuts = [...(options.cut ?? [])];
  const ranges: string[] = [];
  const server = await web((request, response) => {
    const range = request.headers.range ?? "";
    ranges.push(range);
    const from = ignore ? 0 : Number(/^bytes=(\d+)-$/.exec(range)?.[1] ?? 0);
    if (from >= body.length) return void response.writeHead(416).end();
    const part = body.subarray(from);
    const headers = {
      "content-length": part.length,
      "content-range": `bytes ${from}-${body.length - 1}/${body.length}`,
    };
    response.writeHead(from > 0 ? 206 : 200, from > 0 ? headers : { "content-length": part.length });
    const cut = cuts.shift();
    if (cut === undefined) return void response.end(part);
    response.write(part.subarray(0, cut));
    setTimeout(() => response.destroy(), 30);
  });
  return Object.assign(server, { ranges });
}

describe("a transfer that breaks off", () => {
  it("goes on where it stopped, on the same mirror or on the next", async () => {
    const flaky = await ranged({ cut: [1000, 500] });
    expect(await download([flaky.url], what)).toEqual(content);
    expect(flaky.ranges).toEqual(["", "bytes=1000-", "bytes=1500-"]);
    const dying = await ranged({ cut: [700, 0, 0] });
    const good = await ranged();
    const file = join(tempDir(), "a.deb");
    await downloadTo([dying.url, good.url], what, file);
    expect(good.ranges).toEqual(["bytes=700-"]);
    expect(readFileSync(file)).toEqual(content);
  });

  it("begins anew with a server that knows no parts", async () => {
    const plain = await ranged({ cut: [1000], ignore: true });
    expect(await download([plain.url], what)).toEqual(content);
  });

  it("is gone on with by a later run, by one of several only", async () => {
    const dir = tempDir();
    const file = join(dir, "a.deb");
    const dead = await ranged({ cut: [1500, 0, 0] });
    await expect(downloadTo([dead.url], what, file)).rejects.toThrow(/cannot be fetched/);
    expect(readdirSync(dir)).toEqual(["a.deb.part"]);
    const good = await ranged();
    await Promise.all([downloadTo([good.url], what, file), downloadTo([good.url], what, file)]);
    expect(good.ranges.sort()).toEqual(["", "bytes=1500-"]);
    expect(readdirSync(dir)).toEqual(["a.deb"]);
    expect(readFileSync(file)).toEqual(content);
  });

  it.each([
    ["of something else", Buffer.alloc(1500, 7)],
    ["longer than the whole", Buffer.alloc(9000, 7)],
  ])("leaves no trace of a part that was %s", async (_name, part) => {
    const dir = tempDir();
    writeFileSync(join(dir, "a.deb.part"), part);
    const good = await ranged();
    await downloadTo([good.url], what, join(dir, "a.deb"));
    expect(readFileSync(join(dir, "a.deb"))).toEqual(content);
    expect(readdirSync(dir)).toEqual(["a.deb"]);
  });

  it("is not gone on with where nothing says what the whole must be", async () => {
    const flaky = await ranged({ cut: [1000] });
    expect(await download([flaky.url], { path: "pool/a.deb", maxBytes: 10_000, bounds })).toEqual(content);
    expect(flaky.ranges).toEqual(["", ""]);
  });
});

describe("a redirect", () => {
  const to = (location: string) =>
    web((_request, response) => void response.writeHead(302, { location }).end());

  it("is followed, relative ones too", async () => {
    const good = await webOf(new Map([["pool/a.deb", content]]));
    expect(await download([(await to(`${good.url}/pool/a.deb`)).url], what)).toEqual(content);
    const relative = await web((request, response) => {
      if (request.url === "/x/y") return void response.end(content);
      response.writeHead(301, { location: "/x/y" }).end();
    });
    expect(await download([relative.url], what)).toEqual(content);
  });

  it("is refused where it never ends or leads to files", async () => {
    await expect(download([(await to("/pool/a.deb")).url], what)).rejects.toThrow(/more than 5 redirects/);
    await expect(download([(await to("file:///etc/passwd")).url], what)).rejects.toThrow(
      /redirected to file:/,
    );
  });
});

describe("a mirror in a directory", () => {
  it("serves its files, whole and in part, and says what it lacks", async () => {
    const dir = join(tempDir(), "a mirror");
    mkdirSync(join(dir, "pool"), { recursive: true });
    writeFileSync(join(dir, "pool/a.deb"), content);
    const url = pathToFileURL(dir).href;
    expect(await download([url], what)).toEqual(content);
    const file = join(tempDir(), "a.deb");
    writeFileSync(`${file}.part`, content.subarray(0, 999));
    await downloadTo([url], what, file);
    expect(readFileSync(file)).toEqual(content);
    await expect(download([url], { ...what, path: "pool/b.deb" })).rejects.toThrow(/answered 404/);
  });
});

describe("a proxy", () => {
  /** Answers requests with absolute URLs, and opens tunnels. */
  async function proxy(status = 200): Promise<Web & { tunnels: string[]; auth: (string | undefined)[] }> {
    const tunnels: string[] = [];
    const auth: (string | undefined)[] = [];
    const server = await web((request, response) => {
      auth.push(request.headers["proxy-authorization"]);
      response.writeHead(status);
      response.end(content);
    });
    server.server.on("connect", (request, socket) => {
      tunnels.push(request.url ?? "");
      auth.push(request.headers["proxy-authorization"]);
      if (status !== 200) return void socket.end(`HTTP/1.1 ${status} Refused\r\n\r\n`);
      const [host = "", port] = (request.url ?? "").split(":");
      const through = connect(Number(port), host === "mirror.example.org" ? "127.0.0.1" : host, () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        socket.pipe(through).pipe(socket);
      });
      through.on("error", () => socket.destroy());
      socket.on("error", () => through.destroy());
    });
    return Object.assign(server, { tunnels, auth });
  }
  const at = (url: string, more: Proxies = {}): Proxies => ({ http: url, https: url, ...more });

  it("is asked for the whole URL, with its password, but for hosts that are excepted", async () => {
    const one = await proxy();
    const proxies = at(one.url.replace("//", "//me:p%40ss@"));
    expect(await download(["http://mirror.example.org/debian"], { ...what, proxies })).toEqual(content);
    expect(one.asked).toEqual(["http://mirror.example.org/debian/pool/a.deb"]);
    expect(one.auth).toEqual([`Basic ${Buffer.from("me:p@ss").toString("base64")}`]);
    const direct = await webOf(new Map([["pool/a.deb", content]]));
    expect(await download([direct.url], { ...what, proxies: { ...proxies, except: "127.0.0.1" } })).toEqual(
      content,
    );
    expect(one.asked).toHaveLength(1);
  });

  it("opens a tunnel for https, in which the server's certificate is checked", async () => {
    const dir = tempDir();
    const key = join(dir, "key.pem");
    const cert = join(dir, "cert.pem");
    const names = "subjectAltName=DNS:mirror.example.org";
    const openssl = [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
    ];
    execFileSync(
      "openssl",
      [...openssl, "-subj", "/CN=test", "-addext", names, "-keyout", key, "-out", cert],
      { stdio: "ignore" },
    );
    const server = createTlsServer(
      { key: readFileSync(key), cert: readFileSync(cert) },
      (_request, response) => void response.end(content),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const one = await proxy();
    const url = `https://mirror.example.org:${port}`;
    await expect(download([url], { ...what, proxies: at(one.url) })).rejects.toThrow(
      /self.signed certificate/,
    );
    expect(one.tunnels[0]).toBe(`mirror.example.org:${port}`);
    expect(one.asked).toEqual([]);
  });

  it("that refuses is named", async () => {
    const no = await proxy(403);
    await expect(download(["https://mirror.example.org"], { ...what, proxies: at(no.url) })).rejects.toThrow(
      `the proxy ${new URL(no.url).host} answered 403`,
    );
    await expect(
      download(["http://mirror.example.org"], { ...what, proxies: at("socks5://x") }),
    ).rejects.toThrow(/socks5:\/\/x is no http:\/\/ URL/);
  });
});
