import { Readable } from "node:stream";
import type { Answer } from "../../debian/http/ask.ts";
import { download, examine } from "../../debian/http/http.ts";
import { loginFiles } from "../../debian/http/login-files.ts";
import { type Place, storePath } from "../../debian/http/places.ts";
import { proxiesOf } from "../../debian/http/proxy.ts";
import { askRegistry, type RegistryOptions } from "../../debian/http/registry.ts";
import type { Registry } from "../../debian/http/registry-address.ts";
import {
  manifestPath,
  manifestType,
  maxManifestBytes,
  readManifest,
  StoreManifest,
} from "../../debian/http/registry-store.ts";
import type { Surroundings } from "../../system/files/cache.ts";
import { sha256 } from "../../util/digest.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import { putBlob } from "./put-blob.ts";
import { maxIndexBytes, readIndex, type StoreIndex, signedIndex } from "./store-index.ts";
import type { StoreKey } from "./store-key.ts";
import type { Sized, StorePlace } from "./store-place.ts";

/** An answer without content. */
const answerMs = 60_000;
const parallel = 4;

/**
 * A store in a repository of a registry: packages are its blobs, the signed index is the config of the manifest `store`, which names
 * them as layers, so that the registry keeps them.
 */
export function storeInRegistry(
  registry: Registry,
  { env, signal }: Pick<Surroundings, "env" | "signal">,
): StorePlace {
  const how: Access = { signal, proxies: proxiesOf(env), logins: loginFiles(env) };
  return {
    name: registry.url,
    parallel,
    mend: `\`imgbuild store add DEF --store ${registry.url}\` puts again what is missing; what was changed is for whoever keeps the registry to mend`,
    index: async (publicKey) => await readSigned(registry, publicKey, how),
    has: async (one) => await has(registry, one, how),
    put: async (one, file) => await putBlob(registry, one, file, how),
    writeIndex: async (packages, key) => {
      const { index, text } = contentOf(packages, key);
      const config = { size: index.length, sha256: sha256(index) };
      if (!(await has(registry, config, how)))
        await putBlob(registry, config, () => Readable.from(index), how);
      const answer = await ask(registry, manifestPath, how, {
        method: "PUT",
        headers: { "content-type": manifestType, "content-length": String(text.length) },
        body: () => Readable.from(text),
      });
      answer.body.destroy();
      if (answer.status !== 201) throw refusal(registry, answer);
    },
    problemOf: async (one) => {
      const what = { path: storePath(one), size: one.size, sha256: one.sha256, maxBytes: one.size };
      const from = placeIn(registry, what.path, how);
      try {
        await examine([from], { ...what, proxies: how.proxies }, signal);
        return undefined;
      } catch (error) {
        signal.throwIfAborted();
        return messageOf(error).split(`${registry.url}: `).at(-1);
      }
    },
    // What no manifest names any more is for the registry to collect.
    others: async (staying, index) => {
      const sums = new Set(staying.map((one) => one.sha256));
      return index.packages
        .filter((one) => !sums.has(one.sha256))
        .map((one) => ({ name: storePath(one), size: one.size }));
    },
    remove: async () => {},
    alone: async (work) => await work(),
  };
}

type Access = Pick<RegistryOptions, "signal" | "proxies" | "logins">;

function placeIn({ url: base }: Registry, path: string, { logins }: Access): Place {
  return { kind: "store", base, path, ...(logins === undefined ? {} : { logins }) };
}

async function readSigned(
  registry: Registry,
  publicKey: string,
  how: Access,
): Promise<StoreIndex | undefined> {
  const found = await reached(registry, how, () => readManifest(registry, bounded(how)));
  if ("status" in found) {
    found.body.destroy();
    if (found.status === 404) return undefined;
    throw refusal(registry, found);
  }
  const { size } = found.config;
  const sum = found.config.digest.slice("sha256:".length);
  const what = { path: "the index", size, sha256: sum, maxBytes: maxIndexBytes, proxies: how.proxies };
  const from = placeIn(registry, storePath({ sha256: sum }), how);
  const index = readIndex(await download([from], what, how.signal), publicKey, registry.url);
  requireSame(registry, found, index.packages);
  return index;
}

async function has(registry: Registry, one: Sized, how: Access): Promise<boolean> {
  const answer = await ask(registry, `blobs/sha256:${one.sha256}`, how, { method: "HEAD" });
  answer.body.destroy();
  if (answer.status === 404) return false;
  if (answer.status !== 200) throw refusal(registry, answer);
  return Number(answer.headers["content-length"] ?? one.size) === one.size;
}

/** The index, and the manifest that names it and the packages. */
function contentOf(
  packages: Parameters<StorePlace["writeIndex"]>[0],
  key: StoreKey,
): { readonly index: Buffer; readonly text: Buffer } {
  const index = Buffer.from(signedIndex(packages, key, new Date()));
  const manifest: StoreManifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    config: {
      mediaType: StoreManifest.shape.config.shape.mediaType.value,
      digest: `sha256:${sha256(index)}`,
      size: index.length,
    },
    layers: packages.map((one) => ({
      mediaType: StoreManifest.shape.layers.element.shape.mediaType.value,
      digest: `sha256:${one.sha256}`,
      size: one.size,
    })),
  };
  const text = Buffer.from(JSON.stringify(manifest));
  if (text.length > maxManifestBytes)
    throw new Fail(`a repository of a registry holds no more than ${maxManifestBytes} bytes of a manifest`, {
      hint: "fill another repository, or remove what no lock needs: `imgbuild store gc`",
    });
  return { index, text };
}

/** A registry removes in time what no manifest names. */
function requireSame(registry: Registry, { layers }: StoreManifest, packages: readonly Sized[]): void {
  const named = new Set(layers.map(({ digest, size }) => `${digest} ${size}`));
  const lacks = packages.filter((one) => !named.has(`sha256:${one.sha256} ${one.size}`));
  if (lacks.length > 0 || named.size !== packages.length)
    throw new Fail(`the manifest of ${registry.url} does not name the packages that its index names`, {
      hint: "somebody else wrote it: fill another repository by `imgbuild store add`",
    });
}

async function ask(
  registry: Registry,
  path: string,
  how: Access,
  what: Pick<RegistryOptions, "method" | "headers" | "body">,
): Promise<Answer> {
  return await reached(registry, how, () => askRegistry(registry, path, { ...bounded(how), ...what }));
}

function bounded(how: Access): Access {
  return { ...how, signal: AbortSignal.any([how.signal, AbortSignal.timeout(answerMs)]) };
}

/** That a registry cannot be reached is no bug. */
async function reached<T>(registry: Registry, { signal }: Access, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Fail) throw error;
    throw new Fail(`${registry.url} cannot be used: ${messageOf(error)}`, { cause: error });
  }
}

function refusal({ url, repository }: Registry, { status }: Answer): Fail {
  const isLogin = status === 401 || status === 403;
  return new Fail(`${url}: the registry answered ${status}`, {
    hint: isLogin
      ? `podman login ${repository.split("/")[0]}, as somebody who may`
      : "see the registry's log",
  });
}
