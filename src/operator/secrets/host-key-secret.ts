import { generateSshKey, publicKeyOf } from "../../transport/keys.ts";
import { Fail } from "../../util/fail.ts";
import { Secret } from "../../util/secret.ts";

/** A secret that is an SSH host key: its bytes, and its public half, by which the server is known. */
export function hostKeySecret(
  name: string,
  secrets: ReadonlyMap<string, Secret>,
): { readonly bytes: Uint8Array; readonly public: string } {
  const given = secrets.get(name);
  const publicKey = given === undefined ? undefined : publicKeyOf(given.expose());
  if (given === undefined || publicKey === undefined || !publicKey.startsWith("ssh-ed25519 "))
    throw new Fail(`the secret ${name} is no OpenSSH private key of type ed25519 without a passphrase`, {
      hint: "make one with `ssh-keygen -t ed25519 -N '' -f key`",
    });
  return { bytes: Uint8Array.from(given.expose()), public: publicKey };
}

/** The host key of what is reached over SSH besides the system: as it travels with the secrets, and its public half. */
export interface OwnHostKey {
  readonly secrets: ReadonlyMap<string, Secret>;
  /** "ssh-ed25519 AAAA…". */
  readonly pin: string;
  /** It is of this build or deploy, and was nowhere before. */
  readonly isNew: boolean;
}

/** The secret of that name, or a new key where there is no name; it travels as `as`. */
export function ownHostKey(
  as: string,
  { secret, comment }: { readonly secret: string | undefined; readonly comment: string },
  secrets: ReadonlyMap<string, Secret>,
): OwnHostKey {
  const { bytes, public: pin } = secret === undefined ? made(comment) : hostKeySecret(secret, secrets);
  return { secrets: new Map([[as, new Secret(as, bytes)]]), pin, isNew: secret === undefined };
}

function made(comment: string): ReturnType<typeof hostKeySecret> {
  const key = generateSshKey(comment);
  return { bytes: Buffer.from(key.private), public: key.public };
}
