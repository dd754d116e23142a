import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { checkAdvertisement, fetchAdvertisement, thumbprintOf } from "../../../../src/system/health/tang.ts";

interface Pair {
  readonly jwk: { kty: "EC"; crv: string; x: string; y: string; key_ops: string[]; alg: string };
  readonly key: KeyObject;
}

function pair(alg: "ES512" | "ECMR"): Pair {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-521" });
  const { crv, x, y } = publicKey.export({ format: "jwk" }) as Record<string, string>;
  const key_ops = alg === "ES512" ? ["verify"] : ["deriveKey"];
  return { jwk: { kty: "EC", crv: crv!, x: x!, y: y!, key_ops, alg }, key: privateKey };
}

function signatureOf(payload: string, { key }: Pair) {
  const header = Buffer.from('{"alg":"ES512","cty":"jwk-set+json"}').toString("base64url");
  const bytes = sign("sha512", Buffer.from(`${header}.${payload}`), { key, dsaEncoding: "ieee-p1363" });
  return { protected: header, signature: bytes.toString("base64url") };
}

/** As tangd says it: one signature stands beside the payload, several in a list. */
function advertisement(keys: readonly Pair["jwk"][], signers: readonly Pair[]): string {
  const payload = Buffer.from(JSON.stringify({ keys })).toString("base64url");
  const signatures = signers.map((one) => signatureOf(payload, one));
  return JSON.stringify(signatures.length === 1 ? { payload, ...signatures[0] } : { payload, signatures });
}

const [one, other, exchange] = [pair("ES512"), pair("ES512"), pair("ECMR")];
const thumbprint = thumbprintOf(one.jwk);
const good = advertisement([one.jwk, exchange.jwk], [one]);

async function serve(answers: readonly { status: number; text?: string; location?: string }[]) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)]!;
    asked.push(request.url ?? "");
    if (answer.location !== undefined) response.setHeader("location", answer.location);
    response.statusCode = answer.status;
    response.end(answer.text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}
const ask = (url: string) => fetchAdvertisement({ url, thumbprint }, new AbortController().signal, 1);

describe("what a tang server says of its keys", () => {
  it("is taken when each of its signing keys has signed it", () => {
    checkAdvertisement(good, thumbprint);
    checkAdvertisement(advertisement([one.jwk, exchange.jwk, other.jwk], [other, one]), thumbprint);
  });

  it("is understood as tangd 15 of Debian says it, with the thumbprint that tang-show-keys prints", () => {
    const text = readFileSync("test/fixtures/tang-advertisement.jws", "utf8");
    checkAdvertisement(text, "LtFgu40PBYJTVpmvMyxidfQ1itT1NRRgFfsJ61GKag4");
    expect(() => checkAdvertisement(text, thumbprint)).toThrow("names no signing key");
  });

  it.each([
    ["is no JSON", "<html>", "is no signed set of keys"],
    ["is not signed", JSON.stringify({ payload: "e30" }), "is no signed set of keys"],
    ["holds no keys", JSON.stringify({ payload: "e30", ...signatureOf("e30", one) }), "is no set of keys"],
    [
      "is of another server",
      advertisement([other.jwk, exchange.jwk], [other]),
      `names no signing key with the thumbprint ${thumbprint}`,
    ],
    [
      "names the right key, and is signed by another",
      advertisement([one.jwk, exchange.jwk], [other]),
      `is not signed by its key ${thumbprint}`,
    ],
    [
      "slips in a signing key that has not signed",
      advertisement([one.jwk, other.jwk, exchange.jwk], [one]),
      `is not signed by its key ${thumbprintOf(other.jwk)}`,
    ],
    ["has nothing to exchange with", advertisement([one.jwk], [one]), "names no key to exchange with"],
    [
      "was changed after it was signed",
      good.replace(/"payload":"[^"]+"/, () => {
        const keys = [one.jwk, pair("ECMR").jwk];
        return `"payload":"${Buffer.from(JSON.stringify({ keys })).toString("base64url")}"`;
      }),
      "is not signed by its key",
    ],
  ])("is refused when it %s", (_what, text, message) => {
    expect(() => checkAdvertisement(text, thumbprint)).toThrow(message);
  });
});

describe("asking a tang server", () => {
  it("asks for the key with the thumbprint, and gives back what it said", async () => {
    const { url, asked } = await serve([{ status: 200, text: good }]);
    expect(await ask(url)).toBe(good);
    expect(asked).toEqual([`/adv/${thumbprint}`]);
  });

  it("tells at once that the server has no such key", async () => {
    const { url, asked } = await serve([{ status: 404 }]);
    await expect(ask(url)).rejects.toThrow(`has no signing key with the thumbprint ${thumbprint}`);
    expect(asked).toHaveLength(1);
  });

  it("asks again where an answer fails, and follows no redirect", async () => {
    const { url, asked } = await serve([
      { status: 302, location: "/elsewhere" },
      { status: 200, text: good },
    ]);
    expect(await ask(url)).toBe(good);
    expect(asked).toEqual([`/adv/${thumbprint}`, `/adv/${thumbprint}`]);
  });

  it("says that nobody answers", async () => {
    const { url } = await serve([{ status: 500 }]);
    await expect(ask(url)).rejects.toThrow(`the tang server ${url} does not answer: it answered 500`);
    await expect(ask("http://127.0.0.1:1")).rejects.toThrow("ECONNREFUSED");
  });

  it("does not read on for ever", async () => {
    const { url } = await serve([{ status: 200, text: "x".repeat(100_000) }]);
    await expect(ask(url)).rejects.toThrow("more than 65536 bytes");
  });
});
