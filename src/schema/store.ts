import { z } from "zod";
import { SecretName } from "./storage-content.ts";

/** Keeps packages that the mirrors drop. */
export const Store = z
  .strictObject({
    /** Where it is served, its repository in a registry (`oci://`), or its directory: `file://`, or relative to the definition. */
    url: z
      .string()
      .regex(
        /^((https?|file):\/\/[!-?A-~]+|oci:\/\/[a-z0-9.:[\]-]+(\/[a-z0-9]+([._-]+[a-z0-9]+)*)+\/?|(?![A-Za-z][A-Za-z0-9+.-]*:)[A-Za-z0-9._/-]+)$/,
        "an http, https or file URL without a password, oci://REGISTRY/NAME, or a directory",
      ),
    /** The public key that signs its index, as `imgbuild store key` prints it. */
    key: z
      .string()
      .regex(/^ed25519:[A-Za-z0-9+/]{43}=$/, 'a key such as "ed25519:…", from `imgbuild store key`'),
    /** The secret with the login of a registry, as "user:password", for the base of a deploy and a rescue medium. */
    login: SecretName.optional(),
  })
  .refine(({ url, login }) => login === undefined || url.startsWith("oci:"), {
    message: "is for a registry, `oci://REGISTRY/NAME`",
    path: ["login"],
  });
