import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { parsedJson } from "../util/digest.ts";
import { Fail } from "../util/fail.ts";

/**
 * What a tang server opens, as clevis writes it: a JWE (RFC 7516) whose key is agreed on with the server's exchange key (ECDH-ES, RFC 7518).
 * `clevis decrypt` opens it as well. The server never sees the key: it multiplies a point that is blinded (McCallum-Relyea exchange).
 */

/** A public key of a server, as a JWK. */
export interface EcKey {
  readonly kty: "EC";
  readonly crv: string;
  readonly x: string;
  readonly y: string;
}

/** What a server says of itself: one of its exchange keys, the thumbprint of that, and all its keys. */
export interface TangKeys {
  readonly url: string;
  readonly key: EcKey;
  readonly kid: string;
  readonly all: readonly object[];
}

const curves = { "P-256": p256, "P-384": p384, "P-521": p521 } as const;
const enc = "A256GCM";
const ivBytes = 12;
const tagBytes = 16;

/** Encrypts so that the server helps to open it; the server is not asked. */
export function sealForTang({ url, key, kid, all }: TangKeys, plain: Uint8Array): string {
  const curve = curveOf(key.crv);
  const secret = curve.utils.randomSecretKey();
  const shared = pointOf(key).multiply(numberOf(secret));
  const epk = jwkOf(key.crv, curve.Point.BASE.multiply(numberOf(secret)));
  const clevis = { pin: "tang", tang: { adv: { keys: all }, url } };
  const head = encoded(JSON.stringify({ alg: "ECDH-ES", clevis, enc, epk, kid }));
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv("aes-256-gcm", keyFrom(key.crv, shared), iv, { authTagLength: tagBytes });
  cipher.setAAD(Buffer.from(head));
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  // Its second part is the encrypted key, of which there is none: the key is what was agreed on.
  return [head, "", encoded(iv), encoded(body), encoded(cipher.getAuthTag())].join(".");
}

/** Opens it. `exchange` gives a point to the server, and what it makes of it by its key of that thumbprint. */
export async function openByTang(
  jwe: string,
  exchange: (server: { readonly url: string; readonly kid: string }, point: EcKey) => Promise<EcKey>,
): Promise<Uint8Array> {
  const [head = "", key, iv = "", body = "", tag = ""] = jwe.trim().split(".");
  const { url, kid, epk, server } = readHead(head);
  if (key !== "") throw damaged("it has a key of its own");
  const curve = curveOf(epk.crv);
  const blind = numberOf(curve.utils.randomSecretKey());
  const asked = pointOf(epk).add(curve.Point.BASE.multiply(blind));
  const answer = await exchange({ url, kid }, jwkOf(epk.crv, asked));
  if (answer.crv !== epk.crv) throw new Fail(`the tang server ${url} answers on the curve ${answer.crv}`);
  const shared = pointOf(answer).subtract(pointOf(server).multiply(blind));
  const decipher = createDecipheriv("aes-256-gcm", keyFrom(epk.crv, shared), decoded(iv), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(Buffer.from(head)).setAuthTag(decoded(tag));
  try {
    return Buffer.concat([decipher.update(decoded(body)), decipher.final()]);
  } catch (error) {
    throw new Fail(`what the tang server ${url} answers does not open it`, {
      cause: error,
      hint: "is it the server for which it was made?",
    });
  }
}

interface Head {
  readonly url: string;
  readonly kid: string;
  readonly epk: EcKey;
  /** The server's exchange key. */
  readonly server: EcKey;
}

function readHead(head: string): Head {
  const { alg, enc: how, kid, epk, clevis } = recordOf(parsedJson(decoded(head).toString("utf8")));
  const { url, adv } = recordOf(recordOf(clevis).tang);
  const { keys } = recordOf(adv);
  if (alg !== "ECDH-ES" || how !== enc || typeof kid !== "string" || typeof url !== "string")
    throw damaged("its header is another");
  const server = (Array.isArray(keys) ? keys : []).find((one) => isKey(one) && thumbprint(one) === kid);
  if (!isKey(epk) || !isKey(server) || server.crv !== epk.crv) throw damaged("its header has other keys");
  return { url, kid, epk, server };
}

/** RFC 7638. */
function thumbprint({ crv, kty, x, y }: EcKey): string {
  return createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function isKey(value: unknown): value is EcKey {
  const { kty, crv, x, y } = recordOf(value);
  return kty === "EC" && [crv, x, y].every((one) => typeof one === "string");
}

function damaged(why: string): Fail {
  return new Fail(`what tang opens is damaged: ${why}`);
}

function curveOf(name: string): (typeof curves)[keyof typeof curves] {
  if (!Object.hasOwn(curves, name))
    throw new Fail(`the curve ${name} is not known; ${Object.keys(curves).join(", ")} are`);
  return curves[name as keyof typeof curves];
}

type Point = InstanceType<typeof p521.Point>;

/** A point that is on its curve. */
function pointOf({ crv, x, y }: EcKey): Point {
  try {
    const point = curveOf(crv).Point.fromAffine({ x: numberOf(decoded(x)), y: numberOf(decoded(y)) });
    point.assertValidity();
    return point;
  } catch (error) {
    throw new Fail("a key of the tang server is no point of its curve", { cause: error });
  }
}

function jwkOf(crv: string, point: Point): EcKey {
  const { x, y } = point.toAffine();
  return { kty: "EC", crv, x: encoded(coordinate(crv, x)), y: encoded(coordinate(crv, y)) };
}

/** Concat KDF of RFC 7518, 4.6: one round of SHA-256 is all the key that is needed. */
function keyFrom(crv: string, shared: Point): Buffer {
  const field = (bytes: string) => Buffer.concat([uint32(bytes.length), Buffer.from(bytes)]);
  return createHash("sha256")
    .update(Buffer.concat([uint32(1), coordinate(crv, shared.toAffine().x)]))
    .update(Buffer.concat([field(enc), field(""), field(""), uint32(256)]))
    .digest();
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function coordinate(crv: string, value: bigint): Buffer {
  const { BYTES } = curveOf(crv).Point.Fp;
  return Buffer.from(value.toString(16).padStart(2 * BYTES, "0"), "hex");
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString("hex") || "0"}`);
}

function encoded(bytes: Uint8Array | string): string {
  return Buffer.from(bytes as Uint8Array).toString("base64url");
}

function decoded(text: string): Buffer {
  return Buffer.from(text, "base64url");
}
