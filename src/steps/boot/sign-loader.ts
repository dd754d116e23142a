import { createPrivateKey, X509Certificate } from "node:crypto";
import { z } from "zod";
import { type Signer, signEfi, signerOf } from "../../boot/efi/sign-efi.ts";
import { debianLoaders } from "../../boot/efi-files.ts";
import { loaderStampPath } from "../../boot/kernel-hooks.ts";
import { Tree } from "../../tree/tree.ts";
import { sha256 } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep, type StepContext } from "../step/step.ts";

/** Keys of one's own as a plan names them: the key itself comes with the secrets. */
export const SigningKeys = z.strictObject({
  key: z.string(),
  certificate: z.string(),
  alsoTrusted: z.array(z.string()).default([]),
  enroll: z.enum(["off", "manual", "if-safe", "force"]),
  /** The time that the firmware's variables carry. */
  epoch: z.int().positive(),
});
export type SigningKeys = z.output<typeof SigningKeys>;

/** A signed systemd-boot beside the package's own, which bootctl(1) prefers: it never puts an unsigned one on the ESP. */
export const signLoader = defineStep({
  kind: "sign-loader",
  summary: "sign systemd-boot with one's own key",
  schema: SigningKeys,
  run: async (keys, context) => {
    const signer = signerIn(context, keys);
    const loader = debianLoaders.systemdBoot;
    const tree = new Tree(context.root);
    const program = tree.read(loader);
    if (program === undefined)
      throw new Fail(`the tree has no ${loader}`, { hint: "lock the definition again" });
    tree.write(`${loader}.signed`, signEfi(program, signer, loader));
    tree.write(loaderStampPath, `${sha256(program)}\n`);
  },
});

/** The key from the secrets, together with its certificate. */
export function signerIn(
  { secrets }: Pick<StepContext, "secrets">,
  { key, certificate }: SigningKeys,
): Signer {
  const secret = secrets.get(key);
  if (secret === undefined)
    throw new Fail(`the Secure Boot key ${key} is not at hand`, { hint: "name an identity that opens it" });
  return signerOf(privateKey(secret.expose(), key), certificateOf(certificate), key);
}

export function certificateOf(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new Fail("boot.secureBoot names a certificate that is none", { hint: "give it in PEM" });
  }
}

function privateKey(pem: Uint8Array, name: string) {
  try {
    return createPrivateKey(Buffer.from(pem.buffer, pem.byteOffset, pem.byteLength));
  } catch {
    // What OpenSSL says of a key may show parts of it.
    throw new Fail(`the secret ${name} holds no private key in PEM, or one with a passphrase`, {
      hint: "take the passphrase away: the secret itself is encrypted",
    });
  }
}
