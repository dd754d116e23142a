import { writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { download, type TransferBounds } from "../../../../src/debian/http/http.ts";
import { registryOf } from "../../../../src/debian/http/registry-address.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { logInAt, login } from "../../../helpers/labs/registry.ts";
import { web } from "../../../helpers/labs/web.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const bounds: TransferBounds = { windowMs: 2_000, leastBytes: 1, pauseMs: 1 };
const content = Buffer.from(Array.from({ length: 4000 }, (_none, index) => index % 251));
const sum = sha256(content);
const blob = `/v2/team/kept/blobs/sha256:${sum}`;
const what = {
  path: `packages/${sum}.deb`,
  size: content.length,
  sha256: sum,
  maxBytes: content.length,
  bounds,
};

/** A registry on loopback as the test wants it; fetches a package, or the index, from it. */
async function registry(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  logins: (host: string) => readonly string[] = () => [],
) {
  const server = await web(answer);
  const { host } = new URL(server.url);
  const base = `oci://${host}/team/kept`;
  const fetched = async (of: Partial<typeof what> = {}) =>
    await download(
      [{ kind: "store", base, path: of.path ?? what.path, logins: logins(host) }],
      of.path === undefined ? what : { path: of.path, maxBytes: 10_000, bounds },
    );
  return { ...server, fetched };
}

const home = () => tempDir();

describe("a registry", () => {
  it.each([
    ["registry.example.org", "https"],
    ["registry.example.org:5000", "https"],
    ["127.0.0.1.example.org", "https"],
    ["192.0.2.1:5000", "https"],
    ["[2001:db8::1]", "https"],
    ["127.0.0.1:5000", "http"],
    ["[::1]:5000", "http"],
    ["localhost:5000", "http"],
  ])("at %s is asked by %s", (host, scheme) => {
    expect(registryOf(`oci://${host}/team/kept`)?.api).toBe(`${scheme}://${host}/v2/team/kept`);
  });

  it("gives a package by its SHA-256, and goes on where it broke off", async () => {
    const ranges: string[] = [];
    const { fetched, asked } = await registry((request, response) => {
      const { range = "" } = request.headers;
      ranges.push(range);
      const from = Number(/^bytes=(\d+)-$/.exec(range)?.[1] ?? 0);
      response.writeHead(from > 0 ? 206 : 200, {
        "content-length": content.length - from,
        ...(from > 0 ? { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` } : {}),
      });
      if (from > 0) return void response.end(content.subarray(from));
      response.write(content.subarray(0, 1000));
      setTimeout(() => response.destroy(), 30);
    });
    expect(await fetched()).toEqual(content);
    expect(asked).toEqual([blob, blob]);
    expect(ranges).toEqual(["", "bytes=1000-"]);
  });

  it("sends elsewhere without the login that was for it", async () => {
    const seen: (string | undefined)[] = [];
    const elsewhere = await web((request, response) => {
      seen.push(request.headers.authorization);
      response.end(content);
    });
    const dir = home();
    const { fetched } = await registry(
      (request, response) => {
        if (request.headers.authorization === undefined)
          return void response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
        response.writeHead(307, { location: `${elsewhere.url}/blob?signature=1` }).end();
      },
      (host) => [logInAt(dir, host)],
    );
    expect(await fetched()).toEqual(content);
    expect(seen).toEqual([undefined]);
  });

  it.each([
    ["a package", "http://192.0.2.1/blob", /redirected to http:\/\/, which is refused/],
    ["a package by file", "file:///etc/passwd", /redirected to file:\/\/, which is refused/],
  ])("does not send for %s where anybody can read along", async (_what, location, message) => {
    const { fetched } = await registry((_request, response) => response.writeHead(302, { location }).end());
    await expect(fetched()).rejects.toThrow(message);
  });

  it.each(["http://192.0.2.1/token", "file:///etc/passwd", "nothing"])(
    "gets no login at %s",
    async (realm) => {
      const dir = home();
      const { fetched } = await registry(
        (_request, response) =>
          response.writeHead(401, { "www-authenticate": `Bearer realm="${realm}",service="x"` }).end(),
        (host) => [logInAt(dir, host)],
      );
      await expect(fetched()).rejects.toThrow(/names .* to log in at; an https address is accepted/);
    },
  );

  it.each([
    ["a header's end in it", JSON.stringify({ token: "a\r\nx: y" })],
    ["another type", JSON.stringify({ token: 1 })],
    ["no token", "{}"],
    ["no JSON", "<html>"],
    ["no end", "x".repeat(70_000)],
  ])("takes no token that has %s", async (_what, text) => {
    let url = "";
    const server = await registry((request, response) => {
      if (request.url?.startsWith("/token")) return void response.end(text);
      response.writeHead(401, { "www-authenticate": `Bearer realm="${url}/token"` }).end();
    });
    url = server.url;
    await expect(server.fetched()).rejects.toThrow(/gives no token|more than 65536 bytes/);
  });

  it("shows no password where the login is refused", async () => {
    const dir = home();
    const { fetched } = await registry(
      (_request, response) => response.writeHead(401, { "www-authenticate": "Basic" }).end(),
      (host) => [logInAt(dir, host)],
    );
    const error = await fetched().catch((one: Error) => one);
    expect(String(error)).toMatch(/401 \(it wants another login\)/);
    expect(JSON.stringify(error) + String(error)).not.toContain(login.password);
  });

  it.each([
    ["is of something else", { mediaType: "application/vnd.docker.distribution.manifest.v2+json" }],
    ["has words that it should not have", { subject: {} }],
    ["names its index by no digest", { config: { mediaType: "a", digest: "sha256:../..", size: 1 } }],
  ])("is no store where its manifest %s", async (_what, other) => {
    const good = {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: { mediaType: "application/vnd.imgbuild.store-index", digest: `sha256:${sum}`, size: 9 },
      layers: [],
    };
    let manifest: object = good;
    const { fetched, asked } = await registry((request, response) =>
      response.end(request.url?.includes("/manifests/") ? JSON.stringify(manifest) : content),
    );
    expect(await fetched({ path: "index.txt" })).toEqual(content);
    expect(asked).toEqual(["/v2/team/kept/manifests/store", blob]);
    manifest = { ...good, ...other };
    await expect(fetched({ path: "index.txt" })).rejects.toThrow(/is no store of imgbuild/);
  });
});

describe("the files with logins", () => {
  const wants = async (auths: object | string) => {
    const file = join(tempDir(), "auth.json");
    const seen: (string | undefined)[] = [];
    const server = await registry(
      (request, response) => {
        const { authorization } = request.headers;
        seen.push(authorization?.replace("Basic ", ""));
        if (authorization === undefined)
          return void response.writeHead(401, { "www-authenticate": "Basic" }).end();
        response.end(content);
      },
      (host) => {
        const text = typeof auths === "string" ? auths : JSON.stringify({ auths });
        writeFileSync(file, text.replaceAll("HOST", host));
        return [join(tempDir(), "absent"), file];
      },
    );
    await server.fetched();
    return Buffer.from(seen.at(-1) ?? "", "base64").toString();
  };
  const auth = (text: string) => ({ auth: Buffer.from(text).toString("base64") });

  it("know a registry by its name, its URL, or a part of its repositories, which counts before", async () => {
    expect(await wants({ HOST: auth("a:b"), "other.example.org": auth("c:d") })).toBe("a:b");
    expect(await wants({ "https://HOST/v1/": auth("a:b:c") })).toBe("a:b:c");
    expect(await wants({ HOST: auth("a:b"), "HOST/team": auth("c:d"), "HOST/te": auth("e:f") })).toBe("c:d");
  });

  it.each([
    [{ "other.example.org": auth("a:b") }, /401/],
    // A helper has the password.
    [{ HOST: {} }, /401/],
    [{ HOST: auth("nothing") }, /has no "user:password" in base64 for/],
    [{ HOST: auth("a:b\nx: y") }, /has no "user:password" in base64 for/],
    ['{ "auths": [1] }', /is not what `docker login` or `podman login` writes/],
    ["a secret in no JSON", /is not what `docker login` or `podman login` writes/],
  ])("give none from %j", async (auths, message) => {
    await expect(wants(auths)).rejects.toThrow(message);
  });
});
