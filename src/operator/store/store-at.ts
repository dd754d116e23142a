import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { registryOf } from "../../debian/http/registry-address.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import { storeInRegistry } from "./registry-store.ts";
import { storeInDirectory } from "./store-directory.ts";
import type { StorePlace } from "./store-place.ts";

/** The place that `--store` names: a directory, or a repository as oci://registry.example.org/name. */
export function storeAt(name: string, outside: Pick<Surroundings, "env" | "signal">): StorePlace {
  const registry = registryOf(name);
  if (registry !== undefined) return storeInRegistry(registry, outside);
  if (name.startsWith("oci:"))
    throw new Fail(`${name} names no repository; oci://HOST[:PORT]/NAME is accepted, in lower case`, {
      exitCode: exitCodes.usage,
    });
  if (/^https?:/.test(name))
    throw new Fail(`${name} is no directory: a store is filled where its files are`, {
      hint: "give its directory on the machine that serves it, or a registry as oci://HOST/NAME",
      exitCode: exitCodes.usage,
    });
  return storeInDirectory(name.startsWith("file:") ? fileURLToPath(name) : resolve(name), outside.signal);
}
