import type { Spec } from "../../schema/spec.ts";
import { trimmed } from "../../steps/step/secret-input.ts";
import { isCryptHash } from "../../steps/tree/make-users.ts";
import { contentsOf, graphOf } from "../../storage/graph/graph.ts";
import { Fail } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";
import { backupSecrets } from "../settings/backup-script.ts";
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
  checkBackupSecrets(spec, secrets);
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

/** The restore after the disks are wiped is not the place to learn of them. */
function checkBackupSecrets({ data }: Spec, secrets: ReadonlyMap<string, Secret>): void {
  if (data === undefined) return;
  const textOf = (name: string | undefined) => {
    const secret = name === undefined ? undefined : secrets.get(name);
    return secret === undefined ? undefined : Buffer.from(secret.expose()).toString();
  };
  for (const name of backupSecrets(data))
    if (textOf(name)?.trim() === "")
      throw new Fail(`the secret ${name}, which \`data.backup\` names, is empty`, {
        hint: "write it: `imgbuild secrets edit`",
      });
  const { backup } = data;
  if (backup.type === "command") return;
  const key = backup.ssh?.key;
  if (!/^-----BEGIN [A-Z ]*PRIVATE KEY-----\n/.test(textOf(key) ?? "-----BEGIN PRIVATE KEY-----\n"))
    throw new Fail(`the secret ${key}, by which the backup logs in, is not a private key`, {
      hint: "make one with `ssh-keygen -t ed25519 -N ''`, and encrypt the file without `.pub`",
    });
  const environment = backup.type === "restic" ? backup.environment : undefined;
  for (const line of (textOf(environment) ?? "").split("\n"))
    if (line !== "" && !/^[A-Za-z_][A-Za-z0-9_]*=/.test(line))
      throw new Fail(`the secret ${environment} has a line that is not NAME=value`, {
        hint: "it holds variables for restic, as AWS_ACCESS_KEY_ID=…, a line each",
      });
}
