import { type DerNode, firstDer, readDer } from "./der.ts";
import type { Pe } from "./pe.ts";

/** 2.5.4.3, the common name, in DER. */
const commonName = Buffer.from("0603550403", "hex");

/** Names of the authorities whose certificates signed an EFI program: firmware starts it if it trusts any of them. */
export function signedBy(pe: Pe): string[] {
  return [...new Set(pe.signatures.flatMap(issuersIn))].sort();
}

function issuersIn(blob: Buffer): string[] {
  // ContentInfo, in it SignedData; its last field is the set of signers, each with the name of its certificate's issuer.
  const data = inside(inside(inside(firstDer(blob))[1])[0]);
  return inside(data.at(-1)).flatMap((signer) => commonNameOf(inside(inside(signer)[1])[0]) ?? []);
}

/** Of a distinguished name: sets of pairs. */
function commonNameOf(name: DerNode | undefined): string | undefined {
  const pairs = inside(name).flatMap(inside).map(inside);
  return pairs.find(([type]) => type?.whole.equals(commonName))?.[1]?.content.toString("utf8");
}

function inside(node: DerNode | undefined): DerNode[] {
  return node === undefined ? [] : (readDer(node.content) ?? []);
}
