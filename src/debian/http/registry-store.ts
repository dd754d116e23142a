import { z } from "zod";
import { parsedJson } from "../../util/digest.ts";
import type { Answer } from "./ask.ts";
import { storeIndexName } from "./places.ts";
import { askRegistry, type RegistryOptions, textOf } from "./registry.ts";
import { type Registry, registryOf } from "./registry-address.ts";

/** A registry refuses larger ones, too: some 25 000 packages. */
export const maxManifestBytes = 4 * 2 ** 20;
/** Where the manifest is, in a repository: by a tag. */
export const manifestPath = "manifests/store";

export const manifestType = "application/vnd.oci.image.manifest.v1+json";
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const size = z.int().nonnegative();
const descriptor = <T extends string>(mediaType: T) =>
  z.strictObject({ mediaType: z.literal(mediaType), digest, size });

/** A store in a registry, as `imgbuild store add` writes it: the signed index, and the packages that it names. */
export const StoreManifest = z.strictObject({
  schemaVersion: z.literal(2),
  mediaType: z.literal(manifestType),
  config: descriptor("application/vnd.imgbuild.store-index"),
  layers: z.array(descriptor("application/vnd.debian.binary-package")),
});
export type StoreManifest = z.output<typeof StoreManifest>;

/** Answers for a path of a store as a web server would that serves its directory. */
export async function getFromRegistry(url: string, options: RegistryOptions): Promise<Answer> {
  const [, base = "", path = "", sum] = /^(.*?)\/(index\.txt|packages\/([0-9a-f]{64})\.deb)$/.exec(url) ?? [];
  const registry = registryOf(base);
  if (registry === undefined) throw new Error(`${url} is no address in a registry`);
  if (path !== storeIndexName) return await askRegistry(registry, `blobs/sha256:${sum}`, options);
  const manifest = await readManifest(registry, options);
  if ("status" in manifest) return manifest;
  return await askRegistry(registry, `blobs/${manifest.config.digest}`, options);
}

/** A store's manifest, or the answer of a registry that does not give it. */
export async function readManifest(
  registry: Registry,
  { signal, proxies, logins }: RegistryOptions,
): Promise<StoreManifest | Answer> {
  const answer = await askRegistry(registry, manifestPath, {
    ...{ signal, proxies, logins },
    headers: { accept: manifestType },
  });
  if (answer.status !== 200) return answer;
  const read = StoreManifest.safeParse(parsedJson(await textOf(answer.body, maxManifestBytes)));
  if (!read.success) throw new Error(`what ${registry.url} keeps as \`store\` is no store of imgbuild`);
  return read.data;
}
