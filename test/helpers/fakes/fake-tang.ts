import { createHash } from "node:crypto";
import { p256 } from "@noble/curves/nist.js";
import type { EcKey, TangKeys } from "../../../src/secrets/tang.ts";

/** A tang server's exchange key in this process, and the points that it was given. */
export function fakeTang(url = "http://192.0.2.10"): {
  readonly keys: TangKeys;
  readonly asked: EcKey[];
  exchange(server: { readonly url: string; readonly kid: string }, point: EcKey): Promise<EcKey>;
} {
  const secret = BigInt(`0x${Buffer.from(p256.utils.randomSecretKey()).toString("hex")}`);
  const key = jwkOf(p256.Point.BASE.multiply(secret));
  const { crv, kty, x, y } = key;
  const kid = createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
  const asked: EcKey[] = [];
  return {
    keys: { url, key, kid, all: [{ ...key, alg: "ECMR", key_ops: ["deriveKey"] }] },
    asked,
    exchange: async (_server, point) => {
      asked.push(point);
      const [px, py] = [point.x, point.y].map(
        (one) => BigInt(`0x${Buffer.from(one, "base64url").toString("hex")}`) as bigint,
      );
      return jwkOf(p256.Point.fromAffine({ x: px!, y: py! }).multiply(secret));
    },
  };
}

function jwkOf(point: InstanceType<typeof p256.Point>): EcKey {
  const { x, y } = point.toAffine();
  const text = (value: bigint) =>
    Buffer.from(value.toString(16).padStart(64, "0"), "hex").toString("base64url");
  return { kty: "EC", crv: "P-256", x: text(x), y: text(y) };
}
