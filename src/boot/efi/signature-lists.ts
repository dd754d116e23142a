import { X509Certificate } from "node:crypto";
import { guidBytes, guids } from "./efi-keys.ts";

/** Of EFI_SIGNATURE_LIST: its type and three sizes, then the signatures, each with the GUID of who put it there. */
const listHeader = 28;
const ownerBytes = 16;

/** What firmware accepts by a variable as `db`: authorities by their common names, programs by their SHA-256 in hexadecimal. */
interface Accepted {
  readonly authorities: string[];
  readonly programs: string[];
}

/** The content of such a variable (UEFI 2.10, 32.4.1). What is cut off or of another kind is left out. */
export function acceptedBy(variable: Buffer): Accepted {
  const found: Accepted = { authorities: [], programs: [] };
  for (let at = 0; at + listHeader <= variable.length; ) {
    const [size, header, each] = [16, 20, 24].map((offset) => variable.readUInt32LE(at + offset)) as [
      ...[number, number, number],
    ];
    if (size < listHeader || each <= ownerBytes || at + size > variable.length) break;
    const type = variable.subarray(at, at + 16);
    for (let one = at + listHeader + header; one + each <= at + size; one += each) {
      const data = variable.subarray(one + ownerBytes, one + each);
      if (type.equals(guidBytes(guids.x509))) found.authorities.push(...commonNameIn(data));
      else if (type.equals(guidBytes(guids.sha256))) found.programs.push(data.toString("hex"));
    }
    at += size;
  }
  return found;
}

function commonNameIn(certificate: Buffer): string[] {
  try {
    const [, name] = /^CN=(.*)$/m.exec(new X509Certificate(certificate).subject) ?? [];
    return name === undefined ? [] : [name];
  } catch {
    return [];
  }
}
