import type { Spec } from "../../schema/spec.ts";
import type { Luks, UnlockBySsh } from "../../schema/storage-content.ts";
import { contentsOf, type FieldPath, graphOf } from "../../storage/graph/graph.ts";
import { stackOf } from "../../storage/system/storage-config.ts";

/** A volume that is opened over SSH. */
interface BySsh {
  readonly path: FieldPath;
  readonly volume: Luks;
  readonly unlock: UnlockBySsh;
  /** The root or /usr needs it, so the initramfs opens it. */
  readonly early: boolean;
}

export const usualPort = 22;

/** What the initramfs offers: the volumes that are opened over SSH, and how. Undefined where none is. */
export function unlockBySsh(
  spec: Pick<Spec, "storage">,
): { readonly unlock: UnlockBySsh; readonly volumes: readonly Luks[] } | undefined {
  const early = openedBySsh(spec).filter((one) => one.early);
  if (early[0] === undefined) return undefined;
  return { unlock: early[0].unlock, volumes: early.map(({ volume }) => volume) };
}

export function openedBySsh({ storage }: Pick<Spec, "storage">): BySsh[] {
  if (storage === undefined) return [];
  const below = new Set(["/", "/usr"].flatMap((mount) => stackOf(storage, mount)).map(({ id }) => id));
  return contentsOf(graphOf(storage), "luks").flatMap(({ id, path, content }) =>
    content.unlock.type === "ssh"
      ? [{ path, volume: content, unlock: content.unlock, early: below.has(id) }]
      : [],
  );
}

/** Lines of authorized_keys for the initramfs. */
export function unlockKeys({ keys }: UnlockBySsh, { users }: Pick<Spec, "users">): readonly string[] {
  return keys ?? administratorKeys({ users });
}

/** Public keys of those who are root there without a password. */
export function administratorKeys({ users }: Pick<Spec, "users">): readonly string[] {
  const admins = Object.entries(users).flatMap(([name, user]) =>
    user.sudo === true || name === "root" ? user.keys : [],
  );
  return [...new Set(admins.filter((line) => /^(ssh-ed25519|ssh-rsa|ecdsa-|sk-)/.test(line)))];
}
