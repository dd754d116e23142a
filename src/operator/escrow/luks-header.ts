import { Fail } from "../../util/fail.ts";

const magic = Buffer.from("LUKS\xba\xbe", "latin1");

/** UUID of a header as `cryptsetup luksHeaderBackup` writes it: of LUKS1 or LUKS2, whole, with its key slots. */
export function luksUuid(header: Uint8Array, from: string): string {
  const bytes = Buffer.from(header);
  const uuid = bytes.toString("latin1", 168, 208).replace(/\0.*$/s, "");
  if (!bytes.subarray(0, 6).equals(magic) || !/^[0-9a-f-]{36}$/.test(uuid))
    throw new Fail(`${from} has no LUKS header that is known`);
  const least = bytes.readUInt16BE(6) === 1 ? 512 * bytes.readUInt32BE(104) : luks2Bytes(bytes);
  if (bytes.length < least)
    throw new Fail(`the LUKS header of ${from} has ${bytes.length} of ${least} bytes`);
  return uuid;
}

/** Two copies of its description, and the area of the key slots. */
function luks2Bytes(bytes: Buffer): number {
  const headerBytes = Number(bytes.readBigUInt64BE(8));
  const slots = /"keyslots_size":"(\d+)"/.exec(bytes.toString("latin1", 4096, headerBytes))?.[1];
  return 2 * headerBytes + Number(slots ?? Number.NaN);
}
