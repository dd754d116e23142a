import { readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Spec } from "../../schema/spec.ts";
import { sshKeyOf } from "../../transport/keys.ts";
import { sha256 } from "../../util/digest.ts";
import { Fail, reasonOf } from "../../util/fail.ts";
import { Secret } from "../../util/secret.ts";
import type { Definition } from "../definition/load.ts";
import { unlockBySsh } from "../unlock/by-ssh.ts";
import { rescueHostKey } from "./rescue-key.ts";

/**
 * What stands in for a definition's secrets in a test, by name: the text of `test/NAME` beside `NAME.age`, where there is one,
 * since a made-up text is no certificate; else a made-up one.
 */
export async function testSecrets({
  spec,
  dir,
}: Pick<Definition, "spec" | "dir">): Promise<Map<string, Secret>> {
  const secrets = standIns(spec);
  for (const [name, { file }] of Object.entries(spec.secrets)) {
    const sealed = resolve(dir, file);
    const path = join(dirname(sealed), "test", basename(sealed, ".age"));
    try {
      secrets.set(name, new Secret(name, await readFile(path)));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR") continue;
      throw new Fail(`the test secret ${path} cannot be read: ${reasonOf(error)}`, { cause: error });
    }
  }
  return secrets;
}

/** Made-up secrets of a definition, by name. */
export function standIns(
  spec: Pick<Spec, "users" | "network" | "secrets" | "storage" | "boot">,
): Map<string, Secret> {
  const hashes = new Set(Object.values(spec.users).map((user) => user.hashedPasswordSecret));
  const keys = new Set(
    Object.values(spec.network).flatMap(({ device }) =>
      device?.kind === "wireguard"
        ? [device.privateKeySecret, ...device.peers.map((peer) => peer.presharedKeySecret)]
        : [],
    ),
  );
  const hostKeys = [unlockBySsh(spec)?.unlock.hostKey, rescueHostKey(spec)];
  return new Map(
    Object.keys(spec.secrets).map((name) => {
      // The same for the same name, so that two machines of a test that share a secret do so with its stand-in.
      const text = sha256(`stand-in for ${name}`).slice(0, 48);
      // A well-formed hash that no password has.
      const hash = `$y$j9T$${text.slice(0, 22)}$${text.slice(0, 43)}`;
      const key = `${Buffer.from(text.slice(0, 32)).toString("base64")}\n`;
      if (hostKeys.includes(name))
        return [name, new Secret(name, Buffer.from(sshKeyOf(Buffer.from(text.slice(0, 32)), name).private))];
      const value = hashes.has(name) ? hash : keys.has(name) ? key : `${text}\n`;
      return [name, new Secret(name, Buffer.from(value))];
    }),
  );
}
