import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { openByTang, sealForTang } from "../../src/secrets/tang.ts";
import { exchangeAt, exchangeKey, fetchAdvertisement } from "../../src/system/health/tang.ts";
import { startTangd, type Tangd } from "../helpers/labs/tangd.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const plain = Buffer.from("AGE-SECRET-KEY-1 made up");
const { signal } = new AbortController();
const open = (jwe: string) =>
  openByTang(jwe, (server, point) => exchangeAt(server, point, AbortSignal.timeout(10_000)));

async function sealed(tangd: Tangd): Promise<string> {
  const { url, thumbprint } = tangd;
  const said = await fetchAdvertisement({ url, thumbprint }, signal);
  return sealForTang({ url, ...exchangeKey(said, thumbprint) }, plain);
}

/** As a person runs it, with tangd's answers from this process. */
async function clevis(args: readonly string[], stdin: string): Promise<string> {
  const child = spawn("clevis", args, { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(stdin);
  return await text(child.stdout);
}

describe("Debian's tang", () => {
  it("opens what was made for it, and sees another point each time", async () => {
    const tangd = await startTangd(tempDir());
    const jwe = await sealed(tangd);
    expect(tangd.helped).toEqual([]);
    for (let index = 0; index < 3; index += 1) expect(Buffer.from(await open(jwe))).toEqual(plain);
    expect(tangd.helped).toHaveLength(3);
    expect(jwe).not.toContain(plain.toString("base64url").slice(0, 20));
  });

  it("lets clevis open what we make, and us what clevis makes", async () => {
    const tangd = await startTangd(tempDir());
    expect(await clevis(["decrypt"], await sealed(tangd))).toBe(plain.toString());
    const config = JSON.stringify({ url: tangd.url, thp: tangd.thumbprint });
    const made = await clevis(["encrypt", "tang", config], plain.toString());
    expect(Buffer.from(await open(made))).toEqual(plain);
  });

  it("does not open what was made for another, nor what is damaged, and is gone when it is", async () => {
    const [one, other] = [await startTangd(tempDir()), await startTangd(tempDir())];
    const jwe = await sealed(one);
    const moved = openByTang(jwe, ({ kid }, point) =>
      exchangeAt({ url: other.url, kid }, point, AbortSignal.timeout(10_000)),
    );
    await expect(moved).rejects.toThrow(/does not have the key/);
    const parts = jwe.split(".");
    const flipped = [
      ...parts.slice(0, 3),
      parts[3]!.replace(/^./, (at) => (at === "A" ? "B" : "A")),
      parts[4],
    ];
    await expect(open(flipped.join("."))).rejects.toThrow(/does not open it/);
    one.stop();
    await expect(open(jwe)).rejects.toThrow(/does not answer: .*ECONNREFUSED/);
  });
});
