import { generateKeyPairSync, type KeyObject, sign, X509Certificate } from "node:crypto";
import { bitString, der, integer, nothing, oid, sequence, setOf } from "./der.ts";
import type { Signer } from "./sign-efi.ts";

const utf8String = 0x0c;
const generalizedTime = 0x18;

/** A key made here and now, with a certificate of its own: for tests of a definition whose real key stays where it is. */
export function throwawaySigner(name: string): Signer & { readonly keyPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const subject = sequence(setOf(sequence(oid("2.5.4.3"), der(utf8String, Buffer.from(name)))));
  const algorithm = sequence(oid("1.2.840.113549.1.1.11"), nothing());
  const time = (text: string) => der(generalizedTime, Buffer.from(text));
  const body = sequence(
    integer(1),
    algorithm,
    subject,
    // Firmware does not look at the time, as its clock may be anywhere.
    sequence(time("20000101000000Z"), time("20991231235959Z")),
    subject,
    publicKeyInfo(publicKey),
  );
  const certificate = new X509Certificate(
    sequence(body, algorithm, bitString(sign("sha256", body, privateKey))),
  );
  return {
    key: privateKey,
    certificate,
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
  };
}

function publicKeyInfo(key: KeyObject): Buffer {
  return key.export({ type: "spki", format: "der" });
}
