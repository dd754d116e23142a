import type { Lock } from "../../schema/lock.ts";
import type { Spec } from "../../schema/spec.ts";
import { digestOf } from "../../util/digest.ts";
import type { DefinitionFiles } from "./files.ts";

/** Digest by which a definition is known: what it says, the exact packages, and its files. */
export function definitionDigest(spec: Spec, lock: Lock, files: DefinitionFiles): string {
  return digestOf({
    spec,
    packages: lock.packages,
    files: [...files.files].map(([path, { bytes, mode }]) => [
      path,
      digestOf(Buffer.from(bytes).toString("base64")),
      mode,
    ]),
    links: files.links,
  });
}
