import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { registryOf } from "../../../../src/debian/http/registry-address.ts";
import { putBlob } from "../../../../src/operator/store/put-blob.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { web } from "../../../helpers/labs/web.ts";

const content = Buffer.from("a package");
const one = { size: content.length, sha256: sha256(content) };

/** Puts it into a registry that answers so. */
async function put(answer: (request: IncomingMessage, response: ServerResponse, host: string) => void) {
  let host = "";
  const server = await web((request, response) => answer(request, response, host));
  host = new URL(server.url).host;
  const registry = registryOf(`oci://${host}/kept`)!;
  const how = { signal: new AbortController().signal, proxies: {} };
  return { ...server, done: putBlob(registry, one, () => Readable.from(content), how) };
}

describe("putBlob", () => {
  it("sends the content to where the registry says, named by its SHA-256, and again when that breaks", async () => {
    const came: string[] = [];
    let broken = 1;
    const { asked, done } = await put((request, response) => {
      if (request.method === "POST")
        return void response.writeHead(202, { location: "/v2/kept/blobs/uploads/1?state=a" }).end();
      const hash = createHash("sha256");
      request.on("data", (chunk: Buffer) => hash.update(chunk));
      request.on("end", () => {
        came.push(hash.digest("hex"));
        broken -= 1;
        if (broken >= 0) response.destroy();
        else response.writeHead(201).end();
      });
    });
    await done;
    expect(came).toEqual([one.sha256, one.sha256]);
    const to = `/v2/kept/blobs/uploads/1?state=a&digest=sha256%3A${one.sha256}`;
    expect(asked).toEqual(["/v2/kept/blobs/uploads/", to, "/v2/kept/blobs/uploads/", to]);
  });

  it.each([
    "http://192.0.2.1/upload",
    "//registry.example.org/upload",
    "https://registry.example.org/upload",
  ])("sends nothing to %s", async (location) => {
    const { asked, done } = await put((_request, response) => response.writeHead(202, { location }).end());
    await expect(done).rejects.toThrow(/which is not its own address/);
    expect(asked).toEqual(["/v2/kept/blobs/uploads/"]);
  });

  it.each([
    [400, 1, /server answered 400/],
    [403, 1, /server answered 403/],
    [503, 3, /server answered 503/],
  ])("gives up after an answer of %i, asked %i times", async (status, times, message) => {
    const { asked, done } = await put((_request, response) => response.writeHead(status).end());
    await expect(done).rejects.toThrow(message);
    expect(asked).toHaveLength(times);
  });
});
