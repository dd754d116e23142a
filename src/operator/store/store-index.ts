import { z } from "zod";
import { LockedPackage } from "../../schema/lock.ts";
import { Fail } from "../../util/fail.ts";
import { isSignedBy, type StoreKey } from "./store-key.ts";

/** About 200 bytes for each package. */
export const maxIndexBytes = 64 * 2 ** 20;

const Kept = LockedPackage.pick({
  name: true,
  version: true,
  architecture: true,
  archive: true,
  path: true,
  size: true,
  sha256: true,
}).extend({
  /** When it came into the store. */
  added: z.iso.datetime(),
});
const StoreIndex = z.strictObject({
  version: z.literal(1),
  /** When it was signed. */
  date: z.iso.datetime(),
  packages: z.array(Kept),
});

export type KeptPackage = z.output<typeof Kept>;
export interface StoreIndex extends z.output<typeof StoreIndex> {
  /** Who signed it. */
  readonly publicKey: string;
}

/** The text of an index: a line with the key and its signature over the rest, then the packages as JSON, one a line. */
export function signedIndex(packages: readonly KeptPackage[], key: StoreKey, now: Date): string {
  const sorted = [...packages].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  const lines = sorted.map((one) => JSON.stringify(Kept.parse(one)));
  const body = `{"version":1,"date":"${now.toISOString()}","packages":[\n${lines.join(",\n")}\n]}\n`;
  return `imgbuild-store ${key.publicKey} ${key.sign(Buffer.from(body)).toString("base64")}\n${body}`;
}

/** Reads an index; one that the key has not signed is refused. `where` is for messages. */
export function readIndex(bytes: Uint8Array, publicKey: string, where: string): StoreIndex {
  const text = Buffer.from(bytes);
  const end = text.indexOf("\n");
  const [, signer, signature] =
    /^imgbuild-store (ed25519:\S+) (\S+)$/.exec(text.subarray(0, Math.max(end, 0)).toString("latin1")) ?? [];
  if (signer === undefined || signature === undefined)
    throw new Fail(`${where} is no index of a store`, { hint: "`imgbuild store add` writes one" });
  if (signer !== publicKey)
    throw new Fail(`${where} is signed by ${signer}, not by ${publicKey}`, {
      hint: "the definition's `system.stores` and `imgbuild store verify --key` name the key that counts",
    });
  const body = text.subarray(end + 1);
  if (!isSignedBy(publicKey, body, Buffer.from(signature, "base64")))
    throw new Fail(`${where} is forged or damaged: its signature does not fit`, {
      hint: "take the store from a copy; its packages are checked by the lock in any case",
    });
  return { ...StoreIndex.parse(JSON.parse(body.toString("utf8"))), publicKey };
}
