import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { reachAny, reachMirror } from "../../../../src/operator/inspect/reach.ts";
import { localHost } from "../../../helpers/fakes/local-host.ts";
import { deadUrl, web, webOf } from "../../../helpers/labs/web.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const signal = new AbortController().signal;
const path = "dists/trixie/InRelease";

/** This machine as a host that has these programs and no others. */
function hostWith(...programs: readonly string[]) {
  const bin = join(tempDir(), "bin");
  mkdirSync(bin);
  for (const name of ["sh", ...programs])
    symlinkSync(`/usr/bin/${name === "sh" ? "dash" : name}`, join(bin, name));
  return localHost({ wrap: (argv) => ["/usr/bin/env", "-i", `PATH=${bin}`, ...argv] }).host;
}

describe("reachAny", () => {
  it("takes a store by its index, then a snapshot, only where no mirror answers", async () => {
    const gone = await webOf(new Map());
    const [mirror, snapshot] = [await webOf(new Map([[path, "x"]])), await webOf(new Map([[path, "x"]]))];
    const store = await webOf(new Map([["index.txt", "x"]]));
    const keepers = { stores: [store.url], snapshots: { debian: [snapshot.url] } };
    const host = hostWith("bash");
    const ask = (mirrors: string[], of: typeof keepers | undefined) =>
      reachAny(host, mirrors, of, path, signal);
    expect(await ask([gone.url, mirror.url], keepers)).toEqual({ url: mirror.url });
    expect([store.asked, snapshot.asked]).toEqual([[], []]);
    expect(await ask([gone.url], keepers)).toEqual({ url: store.url });
    expect(await ask([gone.url], { ...keepers, stores: [gone.url] })).toEqual({ url: snapshot.url });
    const none = await ask([gone.url], { stores: [gone.url], snapshots: { debian: [gone.url] } });
    expect(none).toEqual({ problem: expect.stringMatching(/^the target reaches no mirror: .*404/) });
  });

  it.each([
    ["gives its tags", 200],
    ["wants a token, which everybody may get", 401],
  ])("takes a registry that %s, after a store that is served", async (_what, status) => {
    const gone = await webOf(new Map());
    const registry = await web((request, response) =>
      response.writeHead(request.url === "/v2/kept/tags/list" ? status : 404).end("x"),
    );
    const oci = `oci://${new URL(registry.url).host}/kept`;
    const store = await webOf(new Map([["index.txt", "x"]]));
    const ask = (stores: string[]) =>
      reachAny(hostWith("curl"), [gone.url], { stores, snapshots: {} }, path, signal);
    expect(await ask([oci, store.url])).toEqual({ url: store.url });
    expect(await ask([oci, gone.url])).toEqual({ url: `${registry.url}/v2/kept` });
    expect(await ask([oci.replace("/kept", "/none")])).toEqual({ problem: expect.stringContaining("404") });
  });
});

describe("reachMirror", () => {
  for (const program of ["bash", "python3", "wget", "curl"])
    it(`asks by ${program} where the host has only that`, async () => {
      const { url, asked } = await webOf(new Map([[`debian/${path}`, "x".repeat(2000)]]));
      const mirror = `${url}/debian/`;
      expect(await reachMirror(hostWith(program), [mirror], path, signal)).toEqual({ url: mirror });
      expect(asked).toEqual([`/debian/${path}`]);
    });

  it("takes the first that serves the file, and goes on past those that do not", async () => {
    const good = await webOf(new Map([[path, "x"]]));
    const bad = await webOf(new Map());
    const host = hostWith("bash");
    const dead = await deadUrl();
    expect(await reachMirror(host, [dead, bad.url, good.url], path, signal)).toEqual({ url: good.url });
    expect(await reachMirror(host, [good.url, bad.url], path, signal)).toEqual({ url: good.url });
    expect([good.asked.length, bad.asked.length]).toEqual([2, 1]);
  });

  it("says of each why it is none", async () => {
    const bad = await webOf(new Map());
    const broken = await web((_request, response) => response.destroy());
    const dead = await deadUrl();
    const answer = await reachMirror(hostWith("bash"), [bad.url, dead, broken.url], path, signal);
    expect(answer).toMatchObject({ problem: expect.stringMatching(/^the target reaches no mirror: /) });
    const { problem } = answer as { problem: string };
    expect(problem).toContain(`${bad.url}: the server answered: HTTP/1.1 404 Not Found`);
    expect(problem).toMatch(new RegExp(`${dead}: .*refused`, "i"));
    expect(problem).toMatch(new RegExp(`${broken.url}: `));
  });

  it("says what the host lacks", async () => {
    expect(await reachMirror(hostWith(), ["http://192.0.2.1"], path, signal)).toEqual({
      problem: "the target reaches no mirror: http://192.0.2.1: the host has no program to fetch with",
    });
    expect(await reachMirror(hostWith("bash"), ["https://192.0.2.1"], path, signal)).toEqual({
      problem: expect.stringContaining("neither curl, wget nor python3 to try https with"),
    });
    expect(await reachMirror(hostWith(), [], path, signal)).toEqual({
      problem: "the target reaches no mirror: none is known",
    });
  });

  it("hands the mirror's name over as a word, whatever is in it", async () => {
    const marker = join(tempDir(), "ran");
    for (const url of [`http://127.0.0.1:1/$(touch ${marker})`, `http://127.0.0.1:1/;touch ${marker}`, "-o"])
      expect(await reachMirror(hostWith("bash"), [url], path, signal)).toHaveProperty("problem");
    expect(existsSync(marker)).toBe(false);
  });
});
