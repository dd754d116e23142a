import type { X509Certificate } from "node:crypto";

/** As UEFI's specification writes them in memory. */
const types = {
  x509: Buffer.from("a159c0a5e494a74a87b5ab155c2bf072", "hex"),
  sha256: Buffer.from("2616c4c14c509240aca941f936934328", "hex"),
};
const owner = Buffer.alloc(16, 7);

/** An EFI_SIGNATURE_LIST with one certificate. */
export function x509List({ raw }: X509Certificate): Buffer {
  return list(types.x509, [raw]);
}

/** An EFI_SIGNATURE_LIST with the SHA-256 of programs. */
export function hashList(digests: readonly string[]): Buffer {
  return list(
    types.sha256,
    digests.map((hex) => Buffer.from(hex, "hex")),
  );
}

function list(type: Buffer, all: readonly Buffer[]): Buffer {
  const each = 16 + all[0]!.length;
  const sizes = Buffer.alloc(12);
  sizes.writeUInt32LE(28 + all.length * each, 0);
  sizes.writeUInt32LE(each, 8);
  return Buffer.concat([type, sizes, ...all.flatMap((one) => [owner, one])]);
}
