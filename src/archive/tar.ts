import { gunzipSync, gzipSync } from "node:zlib";
import { extract, pack } from "tar-stream";
import { Fail, messageOf } from "../util/fail.ts";

/** A regular file of an archive; nothing else is ever written or accepted. */
export interface TarEntry {
  readonly name: string;
  readonly content: Uint8Array;
  readonly mode?: number;
}

export interface TarCaps {
  /** Unpacked archive, headers included. */
  readonly bytes: number;
  readonly members: number;
}

const blockBytes = 512;
/** A long or non-ASCII name needs a pax header of its own length and a few bytes; more is an attack (tar-stream takes 4 MiB). */
const maxPaxBytes = 4096 + blockBytes;
/** Byte 9 of a gzip header, the system of the writer: "unknown" (RFC 1952), so that it does not reveal which. */
const unknownSystem = 255;

/** A tar archive of regular files in the given order, owner root, time 0: equal bytes for equal entries. */
export async function tar(entries: readonly TarEntry[]): Promise<Uint8Array> {
  const archive = pack();
  const chunks: Uint8Array[] = [];
  const read = (async () => {
    for await (const chunk of archive) chunks.push(chunk as Uint8Array);
  })();
  for (const { name, content, mode } of entries) {
    checkName(name);
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
    archive.entry(
      { name, mode: mode ?? 0o644, mtime: new Date(0), size: bytes.length, uid: 0, gid: 0 },
      bytes,
    );
  }
  archive.finalize();
  await read;
  return Buffer.concat(chunks);
}

/** The same, compressed. */
export async function tarGz(entries: readonly TarEntry[]): Promise<Uint8Array> {
  const bytes = gzipSync(await tar(entries), { level: 9 });
  bytes[9] = unknownSystem;
  return bytes;
}

/** Unpacks a .tar.gz from an untrusted source, as far as `caps` allow; refuses anything before or after the archive. */
export function gunzipTar(packed: Uint8Array, caps: TarCaps): Uint8Array {
  let result: { buffer: Buffer; engine: { bytesWritten: number } };
  try {
    // With `info` it returns both, which the types do not know.
    const options = { maxOutputLength: caps.bytes, info: true };
    result = gunzipSync(packed, options) as unknown as typeof result;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE")
      throw new Fail(`the archive unpacks to more than ${caps.bytes} bytes`);
    throw new Fail(`the archive is damaged: ${messageOf(error)}`, { cause: error });
  }
  if (result.engine.bytesWritten !== packed.length) throw new Fail("the archive is followed by other data");
  checkBlocks(result.buffer, caps);
  return result.buffer;
}

/** The members of an archive that `gunzipTar` accepted, in order. */
export async function* tarMembers(bytes: Uint8Array): AsyncGenerator<{ name: string; content: Uint8Array }> {
  const archive = extract();
  archive.end(bytes);
  try {
    for await (const entry of archive) {
      const { name, type } = entry.header;
      if (type !== "file")
        throw new Fail(`archive member ${JSON.stringify(name)} is a ${type}, only files are accepted`);
      checkName(name);
      const chunks: Uint8Array[] = [];
      for await (const chunk of entry) chunks.push(chunk as Uint8Array);
      yield { name, content: Buffer.concat(chunks) };
    }
  } catch (error) {
    if (error instanceof Fail) throw error;
    throw new Fail(`the archive is damaged: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Checks every header before tar-stream does, which would accept a pax header of megabytes, a link, a device or an
 * archive without its end.
 */
function checkBlocks(bytes: Uint8Array, caps: TarCaps): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let members = 0;
  let at = 0;
  for (;;) {
    const header = buffer.subarray(at, at + blockBytes);
    if (header.length < blockBytes) throw new Fail("the archive is cut off");
    if (header.every((byte) => byte === 0)) break;
    const kind = String.fromCharCode(header[156]!);
    const digits = header.toString("latin1", 124, 136);
    if (!/^[0-7]{11}[ \0]$/.test(digits)) throw new Fail("the archive has a member without a plain size");
    const size = Number.parseInt(digits, 8);
    if (kind === "x") {
      if (size > maxPaxBytes) throw new Fail(`the archive has an extended header of ${size} bytes`);
    } else if (kind === "0") members += 1;
    else throw new Fail(`the archive has a member of type ${JSON.stringify(kind)}; only files are accepted`);
    if (members > caps.members) throw new Fail(`the archive has more than ${caps.members} members`);
    at += blockBytes + Math.ceil(size / blockBytes) * blockBytes;
  }
  if (buffer.length !== at + 2 * blockBytes || buffer.subarray(at).some((byte) => byte !== 0))
    throw new Fail("the archive does not end where it should");
}

function checkName(name: string): void {
  const parts = name.split("/");
  if (
    /\p{Cc}/u.test(name) ||
    name.length > 4000 ||
    parts.some((part) => part === "" || part === "." || part === "..")
  )
    throw new Fail(
      `archive member ${JSON.stringify(name.slice(0, 200))}: a relative path without control characters, empty parts, "." or ".." is accepted`,
    );
}
