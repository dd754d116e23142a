import type { Spec } from "../../schema/spec.ts";
import { trimmed } from "../../steps/step/secret-input.ts";
import { isCryptHash } from "../../steps/tree/make-users.ts";
import { contentsOf, graphOf } from "../../storage/graph/graph.ts";
import { Fail } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";
import { checkSigningKey } from "./boot-steps.ts";

/** Whether the secrets are of use for what the definition wants of them; a step would find out when the disks are wiped. */
export function checkSecretContents(spec: Spec, secrets: ReadonlyMap<string, Secret>): void {
  checkSigningKey(spec, secrets);
  for (const [user, { hashedPasswordSecret: name }] of Object.entries(spec.users)) {
    const hash = name === undefined ? undefined : secrets.get(name);
    if (hash !== undefined && !isCryptHash(Buffer.from(hash.expose()).toString()))
      throw new Fail(`the secret ${name} for the password of ${user} is not a crypt(3) hash`, {
        hint: "make one with `mkpasswd --method=yescrypt`",
      });
  }
  if (spec.storage === undefined) return;
  for (const { content } of contentsOf(graphOf(spec.storage), "luks"))
    for (const name of [content.key, content.recoveryKey]) {
      const key = name === undefined ? undefined : secrets.get(name);
      if (key !== undefined && trimmed(key.expose()).length === 0)
        throw new Fail(`the secret ${name}, which opens a LUKS volume, is empty`, {
          hint: "write a passphrase into it: `imgbuild secrets edit`",
        });
    }
}
