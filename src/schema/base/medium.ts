import { z } from "zod";

/** What a rescue medium says of itself. It travels in the initramfs of its boot entry; the kernel's command line names its digest. */

/** Word of the kernel's command line that names the medium's data by its SHA-256. */
export const mediumWord = "imgbuild.medium";

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const MediumFile = z.strictObject({ size: z.int().min(0), sha256: Sha256 });

export const Medium = z.strictObject({
  version: z.literal(1),
  /** Label of the medium's filesystem, by which the base finds it again; undefined where none is there, as with PXE. */
  volume: z
    .string()
    .regex(/^IMGBUILD_[0-9A-F]{16}$/)
    .optional(),
  hostname: z.string(),
  /** Digest of spec, lock and files. */
  definition: z.string(),
  /** Seconds since the epoch, of the lock's date. */
  epoch: z.int(),
  /** 64 hexadecimal digits; the payload carries them too. */
  nonce: Sha256,
  /** Ed25519 public key (SPKI, DER, base64) with which the payload is signed. */
  publicKey: z.string(),
  /** It begins to write without a question, where the disks leave no doubt. */
  unattended: z.boolean(),
  /** Every file that is read of the medium, by its path from the medium's root: checked before the first write. */
  files: z.record(z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9._/-]*$/), MediumFile),
  /** The base's squashfs, which runs from memory, as the archive that is shipped. */
  squashfs: MediumFile,
  /** An offline medium: the finished tree, as the path of a file of `files`; what its UUIDs derive from; the size of the archive without compression. */
  tree: z.strictObject({ path: z.string(), seed: z.string(), sizeBytes: z.int().positive() }).optional(),
});

/** How the identity that was made for a medium is opened with nothing typed. What is sealed is its AGE-SECRET-KEY line. */
export const MediumUnlock = z.discriminatedUnion("type", [
  /** By a tang server: a JWE as clevis writes it. */
  z.strictObject({ type: z.literal("tang"), url: z.string(), sealed: z.string() }),
  /** By the TPM of the machine that was reached as `host`; the parts are base64. */
  z.strictObject({
    type: z.literal("tpm2"),
    host: z.string(),
    sealed: z.strictObject({
      public: z.string(),
      duplicate: z.string(),
      seed: z.string(),
      register7: z.boolean(),
    }),
  }),
]);
export type MediumUnlock = z.output<typeof MediumUnlock>;

/** Files of the payload beside `files/` (of the definition) and `debs/`. Secrets are as in the repository, encrypted. */
export const mediumContent = {
  spec: "spec.json",
  lock: "lock.yaml",
  links: "links.json",
  /** Names of archives → addresses of mirrors. */
  mirrors: "mirrors.json",
  /** Paths of `files/` that are executable. */
  executable: "executable.json",
  /** An age identity, encrypted by a passphrase, that opens the secrets. */
  identity: "identity.age",
  /** Host keys and machine-id of before, where a deploy kept them: an age file. */
  hostKeys: "host-keys.age",
  /** Each secret: `secrets/NAME.age`. */
  secrets: "secrets/",
  /** Where something opens them with nothing typed: how (a list of `MediumUnlock`), and below it the same two again, for the identity that it opens. */
  unlock: "unlock.json",
  unlocked: "unlock/",
} as const;

export type Medium = z.output<typeof Medium>;
