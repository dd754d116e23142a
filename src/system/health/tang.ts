import { createHash, createPublicKey, type JsonWebKey, verify } from "node:crypto";
import { type IncomingMessage, type RequestOptions, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { parsedJson } from "../../util/digest.ts";
import { Fail, messageOf } from "../../util/fail.ts";

const tries = 3;
const usualPauseMs = 2_000;
const timeoutMs = 20_000;
/** The answer of a server with a dozen keys is less than a tenth of this. */
const maxBytes = 64 * 1024;

/** The advertisement of a tang server, signed by its keys: a JWS (RFC 7515) of a JWK set, one signature alone or several. */
const Signature = z.looseObject({ protected: z.string(), signature: z.string() });
const Advertisement = z.union([
  z.looseObject({ payload: z.string(), signatures: z.array(Signature).min(1).max(32) }),
  Signature.extend({ payload: z.string() }).transform(({ payload, ...one }) => ({
    payload,
    signatures: [one],
  })),
]);
const Key = z.looseObject({
  kty: z.literal("EC"),
  crv: z.string(),
  x: z.string(),
  y: z.string(),
  key_ops: z.array(z.string()).default([]),
});
const Keys = z.looseObject({ keys: z.array(Key).min(1).max(32) });
type Key = z.output<typeof Key>;

/** Algorithms of RFC 7518, 3.4. */
const hashes: Readonly<Record<string, string>> = { ES256: "sha256", ES384: "sha384", ES512: "sha512" };

/**
 * The advertisement of a tang server whose signing key has that thumbprint, as text. Redirects are not followed: clevis does not
 * follow them either.
 */
export async function fetchAdvertisement(
  { url, thumbprint }: { readonly url: string; readonly thumbprint: string },
  signal: AbortSignal,
  pauseMs = usualPauseMs,
): Promise<string> {
  const full = `${url}/adv/${thumbprint}`;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { status, text } = await ask(full, {}, signal);
      if (status === 404)
        throw new Fail(`the tang server ${url} has no signing key with the thumbprint ${thumbprint}`, {
          hint: "`tang-show-keys` on the server prints the right one",
        });
      if (status !== 200) throw new Error(`it answered ${status}`);
      checkAdvertisement(text, thumbprint);
      return text;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Fail) throw error;
      if (attempt === tries)
        throw new Fail(`the tang server ${url} does not answer: ${messageOf(error)}`, {
          hint: `is tangd running there, and is \`curl ${url}/adv\` answered in the machine's network?`,
        });
      await sleep(pauseMs, undefined, { signal });
    }
  }
}

/** A key of an advertisement to exchange with, its thumbprint, and all keys. */
export function exchangeKey(
  text: string,
  thumbprint: string,
): { key: Key; kid: string; all: readonly Key[] } {
  const all = checkAdvertisement(text, thumbprint);
  const key = all.find(isExchange)!;
  return { key, kid: thumbprintOf(key), all };
}

/** Lets the server multiply a point by its exchange key of that thumbprint. It is asked once: who asks has another way. */
export async function exchangeAt(
  { url, kid }: { readonly url: string; readonly kid: string },
  point: Pick<Key, "kty" | "crv" | "x" | "y">,
  signal: AbortSignal,
): Promise<Pick<Key, "kty" | "crv" | "x" | "y">> {
  const body = JSON.stringify({ ...point, alg: "ECMR", key_ops: ["deriveKey"] });
  const headers = { "Content-Type": "application/jwk+json", "Content-Length": Buffer.byteLength(body) };
  const asked = { method: "POST", headers, body };
  const { status, text } = await ask(`${url}/rec/${kid}`, asked, signal).catch((error: unknown) => {
    throw new Fail(`the tang server ${url} does not answer: ${messageOf(error)}`, { cause: error });
  });
  if (status === 404)
    throw new Fail(`the tang server ${url} does not have the key ${kid} any more`, {
      hint: "keys that were rotated are kept on the server, in files whose names begin with a dot",
    });
  const key = Key.safeParse(parsedJson(text));
  if (status !== 200 || !key.success) throw new Fail(`the tang server ${url} answered ${status}`);
  return key.data;
}

/** Refuses what is not signed by all the keys that it names, one of which has the thumbprint; as clevis does. Gives its keys. */
export function checkAdvertisement(text: string, thumbprint: string): readonly Key[] {
  const hint = "ask `tang-show-keys` on the server; what answers may be another one";
  const refuse = (why: string) => new Fail(`the advertisement of the tang server ${why}`, { hint });
  const jws = Advertisement.safeParse(parsedJson(text));
  if (!jws.success) throw refuse("is no signed set of keys");
  const { payload, signatures } = jws.data;
  const set = Keys.safeParse(parsedJson(Buffer.from(payload, "base64url").toString("utf8")));
  if (!set.success) throw refuse("is no set of keys");
  const signing = set.data.keys.filter(({ key_ops }) => key_ops.includes("verify"));
  if (!signing.some((key) => thumbprintOf(key) === thumbprint))
    throw refuse(`names no signing key with the thumbprint ${thumbprint}`);
  for (const key of signing)
    if (!signatures.some((signature) => isSigned(payload, signature, key)))
      throw refuse(`is not signed by its key ${thumbprintOf(key)}`);
  if (!set.data.keys.some(isExchange)) throw refuse("names no key to exchange with");
  return set.data.keys;
}

function isExchange({ key_ops }: Key): boolean {
  return key_ops.includes("deriveKey");
}

/** RFC 7638: the SHA-256 of the members that make the key, in their order. */
export function thumbprintOf({ crv, kty, x, y }: Pick<Key, "crv" | "kty" | "x" | "y">): string {
  return createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
}

function isSigned(payload: string, one: z.output<typeof Signature>, key: Key): boolean {
  const header = z
    .looseObject({ alg: z.string() })
    .safeParse(parsedJson(Buffer.from(one.protected, "base64url").toString("utf8")));
  const hash = header.success ? hashes[header.data.alg] : undefined;
  if (hash === undefined) return false;
  try {
    const jwk = { kty: key.kty, crv: key.crv, x: key.x, y: key.y } as JsonWebKey;
    return verify(
      hash,
      Buffer.from(`${one.protected}.${payload}`),
      { key: createPublicKey({ format: "jwk", key: jwk }), dsaEncoding: "ieee-p1363" },
      Buffer.from(one.signature, "base64url"),
    );
  } catch {
    // A point that is on no curve.
    return false;
  }
}

async function ask(
  url: string,
  { body, ...options }: Pick<RequestOptions, "method" | "headers"> & { readonly body?: string },
  signal: AbortSignal,
): Promise<{ status: number; text: string }> {
  const bound = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request(url, { ...options, signal: bound, agent: false }, resolve)
      .on("error", reject)
      .end(body);
  });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new Error(`its answer has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return { status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") };
}
