import type { X509Certificate } from "node:crypto";
import { type Signer, signDetached } from "./sign-efi.ts";

/** GUIDs of the UEFI specification. */
export const guids = {
  globalVariable: "8be4df61-93ca-11d2-aa0d-00e098032b8c",
  imageSecurity: "d719b2cb-3d3a-4596-a3bc-dad00e67656f",
  x509: "a5c059a1-94e4-4aa7-87b5-ab155c2bf072",
  sha256: "c1c41626-504c-4092-aca9-41f936934328",
  pkcs7: "4aafd29d-68df-49ee-8aa9-347d375665a7",
  /** Who put a key there: imgbuild. */
  owner: "3f1d6a5e-2c0b-4c55-8f0e-7d0f3a6b9c21",
};
/** Kept, seen at boot and at run time, written by whoever signs with a time. */
const attributes = 0x27;
const winCertificate = { revision: 0x0200, guid: 0x0ef1 };

/**
 * What systemd-boot gives to firmware that knows no keys yet, from `loader/keys/auto` of the ESP (systemd-boot(7)): the variables
 * PK, KEK and db, signed by the key itself. `also`: certificates whose programs may run too, as those of a card's firmware.
 */
export function enrolmentFiles(
  signer: Signer,
  also: readonly X509Certificate[],
  epoch: number,
): { readonly path: string; readonly content: Buffer }[] {
  const own = [signer.certificate];
  const variables = [
    { name: "PK", guid: guids.globalVariable, certificates: own },
    { name: "KEK", guid: guids.globalVariable, certificates: own },
    { name: "db", guid: guids.imageSecurity, certificates: [...own, ...also] },
  ];
  return variables.map(({ name, guid, certificates }) => ({
    path: `loader/keys/auto/${name}.auth`,
    content: authenticated(name, guid, Buffer.concat(certificates.map(signatureList)), signer, epoch),
  }));
}

/** EFI_VARIABLE_AUTHENTICATION_2 and the new content. */
function authenticated(name: string, guid: string, payload: Buffer, signer: Signer, epoch: number): Buffer {
  const time = efiTime(epoch);
  const signed = Buffer.concat([
    Buffer.from(name, "utf16le"),
    guidBytes(guid),
    uint32(attributes),
    time,
    payload,
  ]);
  const signature = signDetached(signed, signer);
  const header = Buffer.alloc(8);
  header.writeUInt32LE(8 + 16 + signature.length, 0);
  header.writeUInt16LE(winCertificate.revision, 4);
  header.writeUInt16LE(winCertificate.guid, 6);
  return Buffer.concat([time, header, guidBytes(guids.pkcs7), signature, payload]);
}

/** EFI_SIGNATURE_LIST with one certificate. */
function signatureList({ raw }: X509Certificate): Buffer {
  const signature = Buffer.concat([guidBytes(guids.owner), raw]);
  const sizes = [16 + 12 + signature.length, 0, signature.length].map(uint32);
  return Buffer.concat([guidBytes(guids.x509), ...sizes, signature]);
}

/** EFI_TIME, in UTC. */
function efiTime(epoch: number): Buffer {
  const date = new Date(epoch * 1000);
  const time = Buffer.alloc(16);
  time.writeUInt16LE(date.getUTCFullYear(), 0);
  const fields = [
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ];
  for (const [index, value] of fields.entries()) time.writeUInt8(value, 2 + index);
  return time;
}

/** The first three parts of a GUID are little-endian. */
export function guidBytes(guid: string): Buffer {
  const [a, b, c, d, e] = guid.split("-").map((part) => Buffer.from(part, "hex"));
  return Buffer.concat([a!.reverse(), b!.reverse(), c!.reverse(), d!, e!]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
