import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { keepersFor } from "../../debian/archive/keepers.ts";
import type { Mirrors } from "../../debian/archive/mirrors.ts";
import { fetchAll } from "../../debian/http/fetch.ts";
import { proxiesOf } from "../../debian/http/proxy.ts";
import { localArchive } from "../../debian/package/local.ts";
import type { LockedPackage } from "../../schema/lock.ts";
import type { Spec } from "../../schema/spec.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { hold } from "../../system/files/file-lock.ts";
import { linkWhole } from "../../system/files/link-whole.ts";
import { baseDefinition } from "../base/base.ts";
import { mirrorsFor } from "../lock/lock.ts";
import { type OpenDefinition, openDefinition } from "../lock/open-definition.ts";

/**
 * Collects every .deb of a definition's lock, and of the base's that a build needs, below `dir`: DIR/<archive>/<path>, as
 * mirrors have it. The definition's own .deb files are where they are.
 */
export async function vendor(
  definition: Pick<OpenDefinition, "spec" | "lock">,
  dir: string,
  options: Surroundings,
): Promise<{ readonly packages: number; readonly bytes: number }> {
  const base = await openDefinition(baseDefinition());
  const byPath = new Map<string, LockedPackage>();
  for (const one of [...definition.lock.packages, ...base.lock.packages])
    byPath.set(`${one.archive}/${one.path}`, one);
  const packages = [...byPath.values()].filter(({ archive }) => archive !== localArchive);
  const cache = join(options.cache, "packages");
  await mkdir(cache, { recursive: true });
  await hold(cache);
  await fetchAll(packages, {
    mirrors: {
      ...(await mirrorsFor(base.spec, options.env)),
      ...(await mirrorsFor(definition.spec, options.env)),
    },
    keepers: keepersFor(definition, options.env),
    proxies: proxiesOf(options.env),
    dir: cache,
    log: options.log,
    signal: options.signal,
  });
  for (const one of packages)
    await linkWhole(join(cache, `${one.sha256}.deb`), join(dir, one.archive, one.path));
  return { packages: packages.length, bytes: packages.reduce((sum, one) => sum + one.size, 0) };
}

/** A directory that `vendor` filled before the mirrors that are asked otherwise. */
export function vendoredMirrors(dir: string, spec: Spec, mirrors: Mirrors): Mirrors {
  const archives = ["debian", "debian-security", ...Object.keys(spec.system.repositories ?? {})];
  const entries = archives.map((archive) => [
    archive,
    [vendorUrl(dir, archive), ...(mirrors[archive] ?? [])],
  ]);
  return { ...mirrors, ...Object.fromEntries(entries) } as Mirrors;
}

/** The base URL of an archive in such a directory. */
export function vendorUrl(dir: string, archive: string): string {
  return pathToFileURL(join(resolve(dir), archive)).href;
}
