import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { prefetch } from "../../../src/target/prefetch.ts";
import { sha256 } from "../../../src/util/digest.ts";
import { silentLog } from "../../../src/util/log.ts";
import { locked } from "../../helpers/builders/deployable.ts";
import { web, webOf } from "../../helpers/labs/web.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const mib = 2 ** 20;
const contents = ["one", "two"].map((name) => ({ name, bytes: Buffer.from(`!<arch>\n${name}`) }));
const packages = contents.map(({ name, bytes }) =>
  locked(name, { size: bytes.length, sha256: sha256(bytes) }),
);
const served = new Map(packages.map(({ path }, index) => [path, contents[index]!.bytes]));
const size = packages.reduce((sum, one) => sum + one.size, 0);
const enough = 300 * mib + size;

async function fetching(url: string, change: Partial<Parameters<typeof prefetch>[1]> = {}) {
  const lines: string[] = [];
  const directory = join(tempDir(), "packages");
  const note = (text: string) => void lines.push(text);
  const result = await prefetch(packages, {
    ...{ mirrors: { debian: [url] }, keepers: { stores: [], snapshots: {} }, directory },
    ...{ availableBytes: enough, boundMs: 20_000, signal: new AbortController().signal },
    log: { ...silentLog, info: note, warn: note },
    ...change,
  });
  return { ...result, directory, lines };
}

describe("packages before the first write", () => {
  it("are all in memory, and given from there once, whatever becomes of the mirror", async () => {
    const mirror = await webOf(served);
    const { prefetched, directory, lines, ...count } = await fetching(mirror.url);
    expect(count).toEqual({ packages: 2, bytes: size });
    expect(lines).toEqual(["every package is in memory: nothing more is needed of the network"]);
    mirror.server.close();
    const file = join(tempDir(), "one.deb");
    await prefetched.take(packages[0]!, file);
    expect(readFileSync(file)).toEqual(contents[0]!.bytes);
    expect(readdirSync(directory)).toEqual([`${packages[1]!.sha256}.deb`]);
    // Nothing is there for one that was taken, or never came.
    const other = join(tempDir(), "other.deb");
    await prefetched.take(packages[0]!, other);
    expect(existsSync(other)).toBe(false);
  });

  it("are not fetched where RAM does not hold them, by one byte, and the numbers are said", async () => {
    const mirror = await webOf(served);
    const { lines, packages: count } = await fetching(mirror.url, { availableBytes: enough - 1 });
    expect(count).toBe(0);
    expect(mirror.asked).toEqual([]);
    expect(lines).toEqual([
      "1 MiB of packages come over the network after the first write: 300 MiB of RAM are available, and 301 would be needed to fetch them before",
    ]);
  });

  it("come later where the mirror is too slow for the dead man, and still answers", async () => {
    // Asked for its first bytes it gives them; the whole never comes.
    const { url } = await web((request, response) => {
      const bytes = served.get((request.url ?? "").slice(1))!;
      if (request.headers.range === undefined) return;
      response.writeHead(206, { "content-range": `bytes 0-7/${bytes.length}` }).end(bytes.subarray(0, 8));
    });
    const { lines } = await fetching(url, { boundMs: 200 });
    expect(lines).toEqual([
      "not all packages came within 0 s; the others come over the network after the first write",
    ]);
  });

  it("end the deploy before the first write where the mirror has stopped answering", async () => {
    const { url } = await web(() => {});
    const ended = fetching(url, { boundMs: 200, answerMs: 200 });
    await expect(ended).rejects.toThrow(/no mirror can be reached: .*timeout/);
  });

  it("end the deploy before the first write where one is another than was locked", async () => {
    const { url } = await webOf(new Map(packages.map(({ path, size: of }) => [path, Buffer.alloc(of)])));
    await expect(fetching(url)).rejects.toThrow(/has/);
  });
});
