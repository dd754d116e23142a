import { type Pe, readPe } from "../../boot/efi/pe.ts";
import { revokedBy, sbatLevelOf, sbatOf } from "../../boot/efi/sbat.ts";
import { signedBy } from "../../boot/efi/signed-by.ts";
import { debianLoaders, mediaLoaders } from "../../boot/efi-files.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";

/** What firmware with Secure Boot starts the medium for, known before it is tried there. */
export interface SecureBootFacts {
  /** Authorities of which the firmware must trust one. */
  readonly shimSignedBy: readonly string[];
  readonly grubSignedBy: readonly string[];
  /** Generations of which the firmware may ask for no later one (SBAT). */
  readonly shim: Readonly<Record<string, number>>;
  readonly grub: Readonly<Record<string, number>>;
  /** What this shim itself would refuse. */
  readonly revoked: readonly string[];
}

/** Of the shim and the GRUB that come with the base's tree. */
export function secureBootFacts(tree: string): SecureBootFacts {
  const shim = program(tree, debianLoaders.shim);
  const grub = program(tree, mediaLoaders.medium);
  return {
    shimSignedBy: signedBy(shim),
    grubSignedBy: signedBy(grub),
    shim: Object.fromEntries(sbatOf(shim)),
    grub: Object.fromEntries(sbatOf(grub)),
    revoked: revokedBy(sbatLevelOf(shim), sbatOf(grub)),
  };
}

/** The same for people. */
export function secureBootLines({
  shimSignedBy,
  grubSignedBy,
  shim,
  grub,
  revoked,
}: SecureBootFacts): string[] {
  const generations = (all: Readonly<Record<string, number>>) =>
    Object.entries(all)
      .filter(([name]) => name !== "sbat")
      .map(([name, generation]) => `${name} ${generation}`)
      .join(", ");
  return [
    `Secure Boot: firmware starts it that trusts ${shimSignedBy.join(" or ") || "no authority: shim is not signed"}; shim trusts ${grubSignedBy.join(" or ")}`,
    `Secure Boot: firmware refuses it that asks for a later generation than ${generations(shim)} of shim, or ${generations(grub)} of GRUB`,
    ...revoked.map((line) => `Secure Boot: this shim refuses this GRUB: ${line}`),
  ];
}

function program(tree: string, path: string): Pe {
  const bytes = new Tree(tree).read(path);
  if (bytes === undefined)
    throw new Fail(`the base has no ${path}`, { hint: "make it anew: imgbuild base remove" });
  return readPe(bytes, path);
}
