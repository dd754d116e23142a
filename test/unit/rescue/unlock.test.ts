import { json } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { unlock } from "../../../src/rescue/unlock.ts";
import { type EcKey, sealForTang } from "../../../src/secrets/tang.ts";
import { fakeTang } from "../../helpers/fakes/fake-tang.ts";
import { web } from "../../helpers/labs/web.ts";

const plain = "AGE-SECRET-KEY-1";

/** A server that answers as tangd does, or as `status` says; and what is sealed for it. */
async function server(status = 200, refusals = 0) {
  const tang = fakeTang();
  let left = refusals;
  const { url, asked } = await web(async (request, response) => {
    if (left-- > 0) return void request.socket.destroy();
    const { kty, crv, x, y } = (await json(request)) as EcKey;
    const answer = await tang.exchange(tang.keys, { kty, crv, x, y });
    response.writeHead(status).end(JSON.stringify({ ...answer, alg: "ECMR" }));
  });
  const keys = { ...tang.keys, url };
  return { way: { type: "tang" as const, url, sealed: sealForTang(keys, Buffer.from(plain)) }, asked, keys };
}

async function unlocked(...ways: Parameters<typeof unlock>[0]) {
  return await unlockedWithin(15_000, ways);
}

async function unlockedWithin(serverMs: number, ways: Parameters<typeof unlock>[0]) {
  const machine = { pauseMs: 5, serverMs, tpm: "/dev/null/tpm" };
  const lines: string[] = [];
  const secret = await unlock(ways, { print: (line = "") => void lines.push(line) }, machine);
  return { text: secret && Buffer.from(secret.expose()).toString(), lines };
}

describe("a medium that opens with nothing typed", () => {
  it("is opened by the tang server, and says so", async () => {
    const { way, asked, keys } = await server();
    const { text, lines } = await unlocked(way);
    expect(text).toBe(plain);
    expect(asked).toEqual([`/rec/${keys.kid}`]);
    expect(lines.at(-1)).toBe(`The tang server ${keys.url} opens the secrets.`);
  });

  it("asks again when the network is not up yet, and the next server when the first does not help", async () => {
    const late = await server(200, 2);
    expect((await unlocked(late.way)).text).toBe(plain);
    expect(late.asked).toHaveLength(3);
    const [rotated, other] = [await server(404), await server()];
    const { text, lines } = await unlocked(rotated.way, other.way);
    expect(text).toBe(plain);
    expect(rotated.asked).toHaveLength(1);
    expect(lines.join("\n")).toContain(`WARN  the tang server ${rotated.keys.url} does not have the key`);
  });

  it("stays closed, in bounded time, when the server is silent, gone or another", async () => {
    const silent = fakeTang();
    const { url } = await web(() => {});
    const way = {
      type: "tang" as const,
      url,
      sealed: sealForTang({ ...silent.keys, url }, Buffer.from(plain)),
    };
    const began = Date.now();
    const { text, lines } = await unlockedWithin(300, [way]);
    expect(text).toBeUndefined();
    expect(Date.now() - began).toBeLessThan(5_000);
    expect(lines.at(-1)).toMatch(/^WARN {2}the tang server \S+ does not answer: /);
    const broken = await server(500);
    expect((await unlocked(broken.way)).lines.at(-1)).toMatch(/answered 500$/);
    const mine = await server();
    const theirs = sealForTang({ ...fakeTang().keys, url: mine.keys.url }, Buffer.from(plain));
    const wrong = await unlocked({ ...mine.way, sealed: theirs });
    expect(wrong.text).toBeUndefined();
    expect(wrong.lines.join("\n")).toContain("does not open it");
  });
});
