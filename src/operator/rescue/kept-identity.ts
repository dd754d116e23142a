import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { keptIdentityName } from "../../steps/tree/kept-identity.ts";
import type { Definition } from "../definition/load.ts";

/**
 * The age file with the host keys that the machine had before, as a deploy with `--escrow` left it: where `hosts.yaml` says, beside the
 * definition's secrets, or in its own `secrets/`. Undefined where there is none.
 */
export function keptIdentityFile({
  dir,
  spec,
  host,
}: Pick<Definition, "dir" | "spec" | "host">): string | undefined {
  const places = Object.values(spec.secrets).map(({ file }) => dirname(resolve(dir, file)));
  return [host?.escrow ?? [], join(dir, "secrets"), ...places]
    .flat()
    .map((place) => join(place, keptIdentityName(spec.hostname)))
    .find((path) => existsSync(path));
}
