import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { answered } from "../../debian/http/ask.ts";
import { askRegistry, type RegistryOptions } from "../../debian/http/registry.ts";
import { mayLead, type Registry } from "../../debian/http/registry-address.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import type { Sized } from "./store-place.ts";

const tries = 3;
const pauseMs = 1_000;
/** An answer, without what is sent. */
const answerMs = 60_000;
/** Slower is as good as dead. */
const leastBytesPerSecond = 16 * 1024;

/** Puts a file, or other content, into a repository under its SHA-256, in one piece; the registry checks it. */
export async function putBlob(
  registry: Registry,
  one: Sized,
  content: string | (() => Readable),
  how: Pick<RegistryOptions, "signal" | "proxies" | "logins">,
): Promise<void> {
  const body = typeof content === "string" ? () => createReadStream(content) : content;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await upload(registry, one, body, how);
    } catch (error) {
      how.signal.throwIfAborted();
      if (error instanceof Fail || attempt === tries)
        throw new Fail(`sha256:${one.sha256} cannot be put into ${registry.url}: ${messageOf(error)}`, {
          cause: error,
          ...(error instanceof Fail && error.hint !== undefined ? { hint: error.hint } : {}),
        });
      await sleep(pauseMs * attempt, undefined, { signal: how.signal });
    }
  }
}

async function upload(
  registry: Registry,
  { size, sha256 }: Sized,
  body: () => Readable,
  how: Parameters<typeof putBlob>[3],
): Promise<void> {
  const within = (ms: number) => ({ ...how, signal: AbortSignal.any([how.signal, AbortSignal.timeout(ms)]) });
  const begun = await askRegistry(registry, "blobs/uploads/", {
    ...within(answerMs),
    method: "POST",
    headers: { "content-length": "0" },
  });
  begun.body.destroy();
  require(begun.status, 202, registry);
  const { location = "" } = begun.headers;
  if (!URL.canParse(location, registry.api))
    throw new Fail("the registry does not say where the content is to go");
  const to = new URL(location, registry.api);
  // The login goes along.
  if (to.origin !== new URL(registry.api).origin || !mayLead(to, registry))
    throw new Fail(`the registry wants the content at ${to.origin}, which is not its own address`, {
      hint: "is a proxy before it that does not pass on its name?",
    });
  to.searchParams.set("digest", `sha256:${sha256}`);
  const put = await askRegistry(registry, to, {
    ...within(answerMs + Math.ceil(size / leastBytesPerSecond) * 1000),
    method: "PUT",
    headers: { "content-type": "application/octet-stream", "content-length": String(size) },
    body,
  });
  put.body.destroy();
  require(put.status, 201, registry);
}

/** What another try may bring is no Fail. */
function require(status: number, wanted: number, { repository }: Registry): void {
  if (status === wanted) return;
  if (status >= 500 || status === 429 || status === 408 || status === 404) throw new Error(answered(status));
  throw new Fail(answered(status), {
    hint:
      status === 401 || status === 403
        ? `podman login ${repository.split("/")[0]}, as somebody who may write there`
        : "see the registry's log",
  });
}
