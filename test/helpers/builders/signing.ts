import * as openpgp from "openpgp";

export interface SigningKey {
  readonly armored: string;
  readonly fingerprint: string;
  sign(text: string, date?: Date): Promise<string>;
  /** As in Release.gpg. */
  signDetached(text: string, date?: Date): Promise<string>;
}

/** A key of an archive of the test's own; made long ago, so that any date of a Release is later. */
export async function signingKey(): Promise<SigningKey> {
  const { privateKey, publicKey } = await openpgp.generateKey({
    format: "object",
    type: "ecc",
    curve: "ed25519Legacy",
    userIDs: [{ name: "test archive" }],
    date: new Date("2020-01-01T00:00:00Z"),
  });
  return {
    armored: publicKey.armor(),
    fingerprint: publicKey.getFingerprint().toUpperCase(),
    async sign(text, date = new Date("2024-06-01T00:00:00Z")) {
      const message = await openpgp.createCleartextMessage({ text });
      const signed = await openpgp.sign({ message, signingKeys: privateKey, date });
      // openpgp writes CRLF into the armor; Debian's files have line feeds alone.
      return signed.replaceAll("\r", "");
    },
    async signDetached(text, date = new Date("2024-06-01T00:00:00Z")) {
      const message = await openpgp.createMessage({ binary: Buffer.from(text) });
      const signed = await openpgp.sign({ message, signingKeys: privateKey, date, detached: true });
      return String(signed).replaceAll("\r", "");
    },
  };
}

/** A Release file with the fields that are read, and sums of the files given by path below dists/<suite>/. */
export function releaseText(fields: {
  suite?: string;
  codename?: string;
  date?: string;
  validUntil?: string;
  sums?: readonly string[];
}): string {
  return [
    "Origin: Debian",
    `Suite: ${fields.suite ?? "stable"}`,
    `Codename: ${fields.codename ?? "trixie"}`,
    `Date: ${fields.date ?? "Sat, 01 Jun 2024 00:00:00 UTC"}`,
    ...(fields.validUntil === undefined ? [] : [`Valid-Until: ${fields.validUntil}`]),
    "Components: main",
    "SHA256:",
    ...(fields.sums ?? [` ${"a".repeat(64)} 1234 main/binary-amd64/Packages.xz`]),
    "",
  ].join("\n");
}
