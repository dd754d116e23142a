import { describe, expect, it } from "vitest";
import { checkAvailable } from "../../../../src/debian/http/available.ts";
import type { LockedPackage } from "../../../../src/schema/lock.ts";
import type { Fail } from "../../../../src/util/fail.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { deadUrl, portal, web, webOf } from "../../../helpers/labs/web.ts";

function locked(name: string, archive = "debian"): LockedPackage {
  return {
    name,
    version: "1.0",
    architecture: "amd64",
    archive,
    path: `pool/${name}.deb`,
    size: bytesOf(name).length,
    sha256: "0".repeat(64),
    requested: false,
    bootstrap: false,
  };
}

const bytesOf = (name: string) => Buffer.from(`!<arch>\ncontent of ${name} `.repeat(100));
const filesOf = (...names: string[]) =>
  new Map<string, Buffer>(names.map((name) => [`pool/${name}.deb`, bytesOf(name)]));

/** A server that gives parts of files, as Debian's mirrors do. */
async function mirror(...names: string[]) {
  const files = filesOf(...names);
  return await web((request, response) => {
    const body = files.get((request.url ?? "").slice(1));
    if (body === undefined) return void response.writeHead(404).end();
    expect(request.headers.range).toBe("bytes=0-7");
    response.writeHead(206, { "content-range": `bytes 0-7/${body.length}`, "content-length": "8" });
    response.end(body.subarray(0, 8));
  });
}

const check = (
  packages: readonly LockedPackage[],
  mirrors: Readonly<Record<string, readonly string[]>>,
  answerMs = 10_000,
) =>
  checkAvailable(packages, { mirrors, signal: new AbortController().signal, log: silentLog, answerMs }).then(
    () => undefined,
    (error: Fail) => error,
  );

describe("checkAvailable (F16)", () => {
  it("is content when each package is on one of the mirrors of its archive, and asks each once", async () => {
    const old = await mirror("a");
    const whole = await webOf(filesOf("b"));
    const security = await mirror("s");
    const mirrors = { debian: [old.url, `${whole.url}/`], "debian-security": [security.url] };
    expect(await check([locked("a"), locked("b"), locked("s", "debian-security")], mirrors)).toBeUndefined();
    expect(whole.asked).toEqual(["/pool/b.deb"]);
    expect(security.asked).toEqual(["/pool/s.deb"]);
  });

  it("names what the archive has replaced since the lock was made, and what to do", async () => {
    const { url } = await mirror("a");
    const error = await check([locked("a"), locked("b")], { debian: [url] });
    expect(error?.message).toBe("no mirror has pool/b.deb (the server answered 404) as locked");
    expect(error?.hint).toMatch(/lock --update/);
  });

  it("counts what it does not name", async () => {
    const { url } = await mirror();
    const names = ["a", "b", "c", "d", "e", "f", "g"];
    expect(
      (
        await check(
          names.map((name) => locked(name)),
          { debian: [url] },
        )
      )?.message,
    ).toMatch(/ and 2 more as locked$/);
  });

  it("takes a login page for no package", async () => {
    const error = await check([locked("a")], { debian: [(await portal()).url] });
    expect(error?.message).toBe("no mirror has pool/a.deb (what the server gives is no package) as locked");
    expect(error?.hint).toMatch(/check the network/);
  });

  it("goes on to the next mirror when one is dead or hangs, and gives it up after a few questions", async () => {
    const hung = await web(() => {});
    const good = await mirror("a", "b", "c", "d", "e", "f", "g", "h", "i");
    const packages = ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map((name) => locked(name));
    expect(await check(packages, { debian: [await deadUrl(), hung.url, good.url] }, 200)).toBeUndefined();
    expect(hung.asked.length).toBeLessThan(packages.length);
    const some = await mirror("a");
    const partly = await check(packages, { debian: [some.url, hung.url] }, 200);
    expect(partly?.message).toMatch(/^no mirror has pool\/b\.deb/);
  });

  it("says that no mirror can be reached when none answered, and why each did not", async () => {
    const [dead, hung] = [await deadUrl(), await web(() => {})];
    const error = await check([locked("a"), locked("b")], { debian: [dead, hung.url] }, 200);
    expect(error?.message).toMatch(/^no mirror can be reached: /);
    expect(error?.message).toMatch(new RegExp(`${dead}: .*ECONNREFUSED.*; ${hung.url}: .*timeout`));
  });

  it("notices another file under the same name", async () => {
    const { url } = await web((_request, response) => {
      response.writeHead(206, { "content-range": "bytes 0-7/123" });
      response.end("!<arch>\n");
    });
    expect((await check([locked("a")], { debian: [url] }))?.message).toMatch(/\(123 bytes instead of \d+\)/);
  });

  it("asks stores and snapshots only for what no mirror of its archive has", async () => {
    const [a, b, s] = [locked("a"), locked("b"), locked("s", "debian-security")];
    const main = await mirror("a");
    const security = await mirror("s");
    const store = await webOf(new Map());
    const snapshot = await mirror("b");
    const keepers = { stores: [store.url], snapshots: { debian: [`${snapshot.url}/`] } };
    const options = { signal: new AbortController().signal, log: silentLog, keepers };
    const mirrors = { debian: [main.url], "debian-security": [security.url] };
    await checkAvailable([a, b, s], { ...options, mirrors });
    expect(store.asked).toEqual([`/packages/${b.sha256}.deb`]);
    expect(snapshot.asked).toEqual(["/pool/b.deb"]);
  });

  it("names the stores and snapshots that do not have it either, and blames the lock's age", async () => {
    const [main, store] = [await mirror(), await webOf(new Map())];
    const dead = await deadUrl();
    const keepers = { stores: [store.url], snapshots: { debian: [dead] } };
    const options = { signal: new AbortController().signal, log: silentLog, keepers };
    const asked = checkAvailable([locked("a")], { ...options, mirrors: { debian: [main.url] } });
    await expect(asked).rejects.toMatchObject({
      message: expect.stringMatching(
        new RegExp(
          `^no mirror has pool/a\\.deb .*404.*ECONNREFUSED.*as locked, nor has ${store.url}, ${dead}$`,
        ),
      ),
      hint: expect.stringMatching(/lock --update/),
    });
  });

  it("says so where no mirror of the archive is known", async () => {
    expect((await check([locked("a", "own")], { debian: [] }))?.message).toMatch(/no mirror is known/);
  });
});
