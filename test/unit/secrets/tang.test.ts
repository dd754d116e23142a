import { describe, expect, it } from "vitest";
import { openByTang, sealForTang } from "../../../src/secrets/tang.ts";
import { fakeTang } from "../../helpers/fakes/fake-tang.ts";

const plain = Buffer.from("what only the server helps to");
const head = (jwe: string) => JSON.parse(Buffer.from(jwe.split(".")[0]!, "base64url").toString());
const withHead = (jwe: string, change: object) => {
  const [, ...rest] = jwe.split(".");
  return [Buffer.from(JSON.stringify({ ...head(jwe), ...change })).toString("base64url"), ...rest].join(".");
};

describe("what a tang server opens", () => {
  it("opens with the server's help, which sees neither its key nor the same point twice", async () => {
    const { keys, asked, exchange } = fakeTang();
    const jwe = sealForTang(keys, plain);
    expect(Buffer.from(await openByTang(jwe, exchange))).toEqual(plain);
    expect(Buffer.from(await openByTang(jwe, exchange))).toEqual(plain);
    expect(asked.map(({ x }) => x)).not.toContain(head(jwe).epk.x);
    expect(asked[0]!.x).not.toBe(asked[1]!.x);
  });

  it("stays closed for another server, and when a part of it is another", async () => {
    const { keys, exchange } = fakeTang();
    const jwe = sealForTang(keys, plain);
    await expect(openByTang(jwe, fakeTang().exchange)).rejects.toThrow("does not open it");
    const moved = withHead(jwe, {
      clevis: { pin: "tang", tang: { url: "http://192.0.2.99", adv: { keys: keys.all } } },
    });
    await expect(openByTang(moved, exchange)).rejects.toThrow("does not open it");
    for (const change of [{ kid: "x" }, { epk: {} }, { alg: "RSA-OAEP" }, { enc: "A128GCM" }])
      await expect(openByTang(withHead(jwe, change), exchange)).rejects.toThrow("is damaged: its header");
    await expect(openByTang("", exchange)).rejects.toThrow("is damaged");
  });

  it("does not take a point that is on no curve, or on another, for an answer", async () => {
    const { keys, exchange } = fakeTang();
    const jwe = sealForTang(keys, plain);
    const off = async () => ({ ...keys.key, y: keys.key.x });
    await expect(openByTang(jwe, off)).rejects.toThrow("no point of its curve");
    const other = async () => ({ ...keys.key, crv: "P-521" });
    await expect(openByTang(jwe, other)).rejects.toThrow("answers on the curve P-521");
    await expect(async () =>
      sealForTang({ ...keys, key: { ...keys.key, crv: "secp256k1" } }, plain),
    ).rejects.toThrow("the curve secp256k1 is not known");
    await expect(openByTang(jwe, exchange)).resolves.toBeDefined();
  });
});
