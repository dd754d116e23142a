import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { keptIdentityName } from "../../steps/tree/kept-identity.ts";
import type { Definition } from "../definition/load.ts";

/**
 * The age file with the host keys that the machine had before, as a deploy with `--escrow` left it: beside the definition's secrets,
 * or in its own `secrets/`. Undefined where there is none.
 */
export function keptIdentityFile({ dir, spec }: Pick<Definition, "dir" | "spec">): string | undefined {
  const places = Object.values(spec.secrets).map(({ file }) => dirname(resolve(dir, file)));
  return [join(dir, "secrets"), ...places]
    .map((place) => join(place, keptIdentityName(spec.hostname)))
    .find((path) => existsSync(path));
}
