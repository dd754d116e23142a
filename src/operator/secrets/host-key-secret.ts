import { publicKeyOf } from "../../transport/keys.ts";
import { Fail } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";

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
