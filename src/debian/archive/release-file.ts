import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { sha256 } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { type Download, download, downloadChanged, type TransferBounds } from "../http/http.ts";
import type { Proxies } from "../http/proxy.ts";
import { keepFile } from "./keep-file.ts";
import type { Mirrors } from "./mirrors.ts";
import { type Expected, type Release, verifyDetached, verifyRelease } from "./release.ts";
import { noteSeen, refuseOlder, type SeenOptions, warnUnbounded } from "./seen-release.ts";
import type { Source } from "./sources.ts";

const maxReleaseBytes = 4 * 1024 * 1024;

export interface ArchiveOptions extends SeenOptions {
  readonly mirrors: Mirrors;
  readonly signal?: AbortSignal;
  readonly bounds?: TransferBounds;
  readonly proxies?: Proxies;
  /** Nothing is fetched: what is in the cache has to do. */
  readonly offline?: boolean;
}

interface ReadRelease {
  readonly release: Release;
  /** SHA-256 of the InRelease file, or of the Release file where its signature is apart. */
  readonly digest: string;
  /** The files as they were signed, in the cache. */
  readonly files: readonly { readonly name: string; readonly file: string }[];
}

/** Kept beside a file: from where it came, so that the next time only a change is fetched. */
interface Note {
  readonly mirror: string;
  readonly etag?: string;
  readonly modified?: string;
}

type Signed = { readonly inline: Buffer } | { readonly text: Buffer; readonly signature: Buffer };

/** The Release of a suite, from the first mirror whose one verifies: a login page or an old copy must not hide the next mirror. */
export async function readReleaseFile(source: Source, options: ArchiveOptions): Promise<ReadRelease> {
  const { archive, suite } = source;
  if (options.offline) return await readKept(source, options);
  const mirrors = options.mirrors[archive] ?? [];
  let first: Fail | undefined;
  for (const mirror of mirrors) {
    try {
      return await readFrom(mirror, source, options);
    } catch (error) {
      if (!(error instanceof Fail) || options.signal?.aborted) throw error;
      if (mirrors.length > 1) options.log.warn(`${mirror}: ${error.message}`);
      first ??= error;
    }
  }
  throw (
    first ??
    new Fail(`no mirror of ${archive} is known for ${suite}`, { hint: "name one by IMGBUILD_MIRROR" })
  );
}

async function readFrom(
  mirror: string,
  source: Source,
  options: ArchiveOptions,
  anew = false,
): Promise<ReadRelease> {
  const path = (name: string) => `dists/${source.suite}/${name}`;
  const what = (name: string): Download => ({
    path: path(name),
    maxBytes: maxReleaseBytes,
    ...transferOf(options),
  });
  const place = placeOf(source, options);
  const note = await readNote(place("InRelease"));
  const kept = await readFile(place("InRelease")).catch(() => undefined);
  const known = !anew && kept !== undefined && note?.mirror === mirror ? note : {};
  let found: Awaited<ReturnType<typeof downloadChanged>>;
  try {
    found = await downloadChanged(mirror, what("InRelease"), known, options.signal);
  } catch (error) {
    if (!(error instanceof Fail) || !/answered 404/.test(error.message)) throw error;
    const detached = await readDetached(mirror, what, options).catch(() => {
      throw error;
    });
    return await accept(detached, source, options, { mirror });
  }
  const inline = found?.bytes ?? kept;
  if (inline === undefined) throw new Fail(`${mirror} calls a file unchanged that was never fetched`);
  const { etag, modified } = found ?? note ?? {};
  const accepted = accept({ inline }, source, options, {
    mirror,
    ...(etag === undefined ? {} : { etag }),
    ...(modified === undefined ? {} : { modified }),
  });
  if (found !== undefined) return await accepted;
  return await accepted.catch(async (error: unknown) => {
    // The file in the cache is damaged, or has expired: the mirror's own may be better.
    if (!(error instanceof Fail)) throw error;
    return await readFrom(mirror, source, options, true);
  });
}

async function readDetached(
  mirror: string,
  what: (name: string) => Download,
  { signal }: ArchiveOptions,
): Promise<Signed> {
  const [text, signature] = await Promise.all([
    download([mirror], what("Release"), signal),
    download([mirror], what("Release.gpg"), signal),
  ]);
  return { text, signature };
}

/** Only what verifies, and is not older than what was seen before, is kept. */
async function accept(
  signed: Signed,
  source: Source,
  options: ArchiveOptions,
  note: Note,
): Promise<ReadRelease> {
  const read = await verify(signed, source, options);
  await refuseOlder(read.release, source, options);
  warnUnbounded(note.mirror, read.release, source, options);
  const place = placeOf(source, options);
  const names = namesOf(signed);
  for (const { name, bytes } of names) await keepFile(place(name), bytes);
  await keepFile(`${place(names[0]!.name)}.json`, JSON.stringify(note));
  const other = "inline" in signed ? "Release" : "InRelease";
  await rm(place(other), { force: true });
  await noteSeen(note.mirror, read.release, source, options);
  return read;
}

/** What the cache has of a suite, verified anew; expired or not. */
async function readKept(source: Source, options: ArchiveOptions): Promise<ReadRelease> {
  const place = placeOf(source, options);
  const [inline, text, signature] = await Promise.all(
    ["InRelease", "Release", "Release.gpg"].map((name) => readFile(place(name)).catch(() => undefined)),
  );
  const signed: Signed | undefined =
    inline !== undefined
      ? { inline }
      : text !== undefined && signature !== undefined
        ? { text, signature }
        : undefined;
  if (signed === undefined)
    throw new Fail(`the cache holds nothing of ${source.suite}`, { hint: "run it once without --offline" });
  const onExpired = (until: string) =>
    options.log.warn(`${source.suite} expired on ${until}; taken, since offline`);
  const read = await verify(signed, source, options, { onExpired });
  await refuseOlder(read.release, source, options);
  return read;
}

async function verify(
  signed: Signed,
  source: Source,
  options: ArchiveOptions,
  more: Pick<Expected, "onExpired"> = {},
): Promise<ReadRelease> {
  const { suite, keyring, fingerprint, byRelease = false } = source;
  const expected: Expected = { suite, keyring, fingerprint, byRelease, now: options.now, ...more };
  const release =
    "inline" in signed
      ? await verifyRelease(signed.inline, expected)
      : await verifyDetached(signed.text, signed.signature, expected);
  const place = placeOf(source, options);
  const names = namesOf(signed);
  return {
    release,
    digest: sha256(names[0]!.bytes),
    files: names.map(({ name }) => ({ name, file: place(name) })),
  };
}

function namesOf(signed: Signed): { readonly name: string; readonly bytes: Buffer }[] {
  if ("inline" in signed) return [{ name: "InRelease", bytes: signed.inline }];
  return [
    { name: "Release", bytes: signed.text },
    { name: "Release.gpg", bytes: signed.signature },
  ];
}

function placeOf({ archive, suite }: Source, { cache }: ArchiveOptions): (name: string) => string {
  return (name) => join(cache, "index", `${archive}_${suite.replaceAll("/", "_")}_${name}`);
}

async function readNote(file: string): Promise<Note | undefined> {
  try {
    const note = JSON.parse(await readFile(`${file}.json`, "utf8")) as Partial<Note>;
    return typeof note.mirror === "string" ? (note as Note) : undefined;
  } catch {
    return undefined;
  }
}

export function transferOf({ bounds, proxies }: Pick<ArchiveOptions, "bounds" | "proxies">): {
  bounds?: TransferBounds;
  proxies?: Proxies;
} {
  return { ...(bounds === undefined ? {} : { bounds }), ...(proxies === undefined ? {} : { proxies }) };
}
