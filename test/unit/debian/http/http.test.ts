import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { download, downloadTo, type TransferBounds } from "../../../../src/debian/http/http.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { deadUrl, portal, web, webOf } from "../../../helpers/labs/web.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** None of the answers is slow, however busy this machine. */
const bounds: TransferBounds = { windowMs: 10_000, leastBytes: 1, pauseMs: 1 };
const impatient: TransferBounds = { windowMs: 300, leastBytes: 100, pauseMs: 1 };
const content = Buffer.from("the package ".repeat(100));
const what = {
  path: "pool/a.deb",
  maxBytes: content.length,
  size: content.length,
  sha256: sha256(content),
  bounds,
};

describe("download", () => {
  it("gives the content", async () => {
    const good = await webOf(new Map([["pool/a.deb", content]]));
    expect(await download([good.url], what)).toEqual(content);
  });

  it("asks for files as they lie, so that a .gz arrives packed", async () => {
    const packed = gzipSync(content);
    const { url } = await web((request, response) => {
      const encodes = /gzip/.test(String(request.headers["accept-encoding"]));
      response.writeHead(200, encodes ? { "content-encoding": "gzip" } : {});
      response.end(packed);
    });
    const bytes = await download([url], { path: "Packages.gz", maxBytes: 10_000, bounds });
    expect(bytes).toEqual(packed);
  });

  it("goes on to the next mirror: dead, missing file, login page, wrong content, short content", async () => {
    const wrong = await webOf(new Map([["pool/a.deb", Buffer.alloc(content.length, 1)]]));
    const short = await webOf(new Map([["pool/a.deb", content.subarray(1)]]));
    const empty = await webOf(new Map());
    const good = await webOf(new Map([["pool/a.deb", content]]));
    const bad = [await deadUrl(), empty.url, (await portal()).url, wrong.url, short.url];
    for (const url of bad) expect(await download([url, good.url], what), url).toEqual(content);
    expect(await download([...bad, good.url], what)).toEqual(content);
  });

  it("tells what was wrong with each mirror", async () => {
    const empty = await webOf(new Map());
    const wrong = await webOf(new Map([["pool/a.deb", Buffer.alloc(content.length, 1)]]));
    const error = (await download([empty.url, wrong.url], what).catch((thrown: unknown) => thrown)) as Fail;
    expect(error).toBeInstanceOf(Fail);
    expect(error.message).toBe(
      `pool/a.deb cannot be fetched: ${empty.url}: the server answered 404; ` +
        `${wrong.url}: the content is not what was asked for (SHA-256 differs)`,
    );
    expect(error.hint).toContain("IMGBUILD_MIRROR");
    await expect(download([], what)).rejects.toThrow(/no mirror is known/);
  });

  it("does not ask a second time for an answer that will not change", async () => {
    const empty = await webOf(new Map());
    await expect(download([empty.url], what)).rejects.toThrow(/404/);
    expect(empty.asked).toHaveLength(1);
  });

  it("tries again when a transfer breaks off, three times in all", async () => {
    let asked = 0;
    const { url } = await web((_request, response) => {
      asked += 1;
      response.writeHead(200, { "content-length": content.length });
      if (asked === 3) return response.end(content);
      response.write(content.subarray(0, 500));
      return setTimeout(() => response.destroy(), 20);
    });
    expect(await download([url], what)).toEqual(content);
    const broken = await web((_request, response) => {
      response.writeHead(200, { "content-length": content.length });
      response.write("half");
      setTimeout(() => response.destroy(), 20);
    });
    await expect(download([broken.url], what)).rejects.toThrow(/cannot be fetched/);
    expect(broken.asked).toHaveLength(3);
  });

  it("stops reading when more comes than was announced", async () => {
    let sent = 0;
    const { url } = await web((_request, response) => {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536;
      };
      response.on("drain", more);
      more();
    });
    await expect(download([url], what)).rejects.toThrow(`more than ${content.length} bytes`);
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  it.each(["says nothing", "stops in the middle", "drips single bytes"])(
    "gives a mirror up that %s",
    async (kind) => {
      const { url, asked } = await web((_request, response) => {
        if (kind === "says nothing") return;
        response.writeHead(200, { "content-length": content.length });
        response.write(content.subarray(0, 200));
        if (kind === "stops in the middle") return;
        const timer = setInterval(() => response.write("x"), 20);
        response.on("close", () => clearInterval(timer));
      });
      const good = await webOf(new Map([["pool/a.deb", content]]));
      const soon = { ...what, bounds: impatient };
      expect(await download([url, good.url], soon)).toEqual(content);
      expect(asked).toHaveLength(3);
      await expect(download([url], soon)).rejects.toThrow(/only \d+ bytes within 0.3 s/);
    },
  );

  it("ends with the reason of an abort, and asks nobody else", async () => {
    const silent = await web(() => {});
    const good = await webOf(new Map([["pool/a.deb", content]]));
    const reason = new Fail("interrupted");
    const stop = new AbortController();
    setTimeout(() => stop.abort(reason), 50);
    await expect(download([silent.url, good.url], what, stop.signal)).rejects.toBe(reason);
    expect(good.asked).toEqual([]);
  });
});

describe("downloadTo", () => {
  it("leaves the file, whole, and nothing beside it", async () => {
    const dir = tempDir();
    const good = await webOf(new Map([["pool/a.deb", content]]));
    const short = await web((_request, response) => {
      response.writeHead(200, { "content-length": content.length });
      response.write("longer than what the good mirror has? no: only different".repeat(5));
      setTimeout(() => response.destroy(), 20);
    });
    await downloadTo([short.url, good.url], what, join(dir, "a.deb"));
    expect(readdirSync(dir)).toEqual(["a.deb"]);
    expect(readFileSync(join(dir, "a.deb"))).toEqual(content);
  });

  it("leaves nothing of what was wrong, and an older file alone", async () => {
    const dir = tempDir();
    const wrong = await webOf(new Map([["pool/a.deb", Buffer.alloc(content.length, 1)]]));
    await expect(downloadTo([wrong.url], what, join(dir, "a.deb"))).rejects.toThrow(/SHA-256/);
    expect(readdirSync(dir)).toEqual([]);
    writeFileSync(join(dir, "a.deb"), "older");
    await expect(downloadTo([wrong.url], what, join(dir, "a.deb"))).rejects.toThrow(/SHA-256/);
    expect(readdirSync(dir)).toEqual(["a.deb"]);
    expect(readFileSync(join(dir, "a.deb"), "utf8")).toBe("older");
  });
});
