import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Pack, pack } from "cpio-stream";
import { Fail } from "../util/fail.ts";

/** A member of an archive for the kernel's initramfs unpacker. Names are relative: "imgbuild/deploy.json". */
export type CpioEntry =
  | { readonly type: "directory"; readonly name: string; readonly mode?: number }
  | { readonly type: "symlink"; readonly name: string; readonly target: string }
  | { readonly type: "file"; readonly name: string; readonly mode?: number; readonly content: Uint8Array }
  | {
      readonly type: "file";
      readonly name: string;
      readonly mode?: number;
      /** Content is read from `path`, which holds exactly `size` bytes. */
      readonly path: string;
      readonly size: number;
    };

/**
 * Archives may follow one another in an initramfs if each begins at a multiple of 4 (linux/init/initramfs.c); GNU cpio
 * fills blocks of 512, and so does this.
 */
const blockBytes = 512;
/** Files are read in pieces of this size. */
const pieceBytes = 2 ** 20;
/** A member's size has eight hexadecimal digits. */
const maxFileBytes = 0xffff_ffff;
/** The kernel's PATH_MAX, with the closing NUL. */
const maxNameBytes = 4096;
/** What ends an archive; a member of that name would end it early. */
const trailer = "TRAILER!!!";
/** 0 would become "now" in cpio-stream. */
const mtimeSeconds = 1;

/**
 * A newc archive with equal bytes for equal entries: names sorted, parents first (missing ones are added, mode 0755),
 * owner root, fixed times and inode numbers. Its length is a multiple of 512, so that another archive can follow.
 */
export async function* cpio(entries: readonly CpioEntry[]): AsyncGenerator<Uint8Array> {
  const members = arrange(entries);
  const archive = pack({ format: "newc" });
  const packed = fill(archive, members);
  // The reader below sees the failure; this keeps it from being unhandled as well.
  let failure: Error | undefined;
  packed.catch((error: Error) => {
    failure = error;
    (archive as Readable).destroy(error);
  });
  let length = 0;
  try {
    for await (const chunk of archive) {
      length += chunk.length;
      yield chunk;
    }
  } catch (error) {
    // The stream only says that it was closed; the reason is known a turn later.
    await new Promise((resolve) => setImmediate(resolve));
    throw failure ?? error;
  }
  await packed;
  yield new Uint8Array((blockBytes - (length % blockBytes)) % blockBytes);
}

/** The whole archive in memory, for what travels with a deploy. */
export async function cpioBytes(entries: readonly CpioEntry[]): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of cpio(entries)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function arrange(entries: readonly CpioEntry[]): CpioEntry[] {
  const members = new Map<string, CpioEntry>();
  for (const entry of entries) {
    check(entry);
    if (members.has(entry.name)) throw new Fail(`the archive names ${entry.name} twice`);
    members.set(entry.name, entry);
  }
  for (const { name } of entries) {
    for (let at = name.indexOf("/"); at !== -1; at = name.indexOf("/", at + 1)) {
      const parent = name.slice(0, at);
      const found = members.get(parent);
      if (found === undefined) members.set(parent, { type: "directory", name: parent });
      else if (found.type !== "directory")
        throw new Fail(`${name} is below ${parent}, which is not a directory`);
    }
  }
  // A parent is a prefix of its children, so it sorts before them.
  return [...members.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function check(entry: CpioEntry): void {
  const { name } = entry;
  const shown = JSON.stringify(name);
  // cpio-stream counts UTF-16 units where the format counts bytes.
  if (!/^[\x21-\x7e]+$/.test(name)) throw new Fail(`archive member ${shown}: only visible ASCII is accepted`);
  if (name.length >= maxNameBytes) throw new Fail(`archive member ${shown.slice(0, 80)}…: name too long`);
  if (name === trailer || name.split("/").some((part) => part === "" || part === "." || part === ".."))
    throw new Fail(`archive member ${shown}: a relative path without empty parts, "." or ".." is accepted`);
  if (entry.type === "symlink" && !/^[\x21-\x7e]{1,4095}$/.test(entry.target))
    throw new Fail(`archive member ${shown}: a symlink's target must be visible ASCII`);
  if (entry.type !== "symlink" && entry.mode !== undefined && (entry.mode & ~0o7777) !== 0)
    throw new Fail(`archive member ${shown}: mode ${entry.mode.toString(8)} is more than permissions`);
  const size = entry.type !== "file" ? 0 : "content" in entry ? entry.content.length : entry.size;
  if (!Number.isSafeInteger(size) || size < 0 || size > maxFileBytes)
    throw new Fail(`archive member ${shown}: ${size} bytes; the format holds 4 GiB less one`);
}

async function fill(archive: Pack, members: readonly CpioEntry[]): Promise<void> {
  let ino = 0;
  for (const member of members) {
    ino += 1;
    const header = {
      name: member.name,
      type: member.type,
      mode:
        member.type === "symlink" ? 0o777 : (member.mode ?? (member.type === "directory" ? 0o755 : 0o644)),
      // One link each: the kernel treats equal inodes of more links as one file.
      nlink: 1,
      ino,
      uid: 0,
      gid: 0,
      mtime: mtimeSeconds,
    };
    if (member.type === "file" && "path" in member) await addFile(archive, header, member);
    else await addBytes(archive, header, bytesOf(member));
  }
  archive.finalize();
}

type Header = Parameters<Pack["entry"]>[0];

function addBytes(archive: Pack, header: Header, content: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    // It recognises only a Buffer.
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
    archive.entry(header, bytes, (error) => (error ? reject(error) : resolve()));
  });
}

async function addFile(archive: Pack, header: Header, file: { path: string; size: number }): Promise<void> {
  // Checked before the streams read it, which would only say that one of them closed too early.
  const found = await stat(file.path);
  if (found.isFile() && found.size !== file.size) throw otherSize(file);
  let sink: NodeJS.WritableStream | undefined;
  const written = new Promise<void>((resolve, reject) => {
    sink = archive.entry({ ...header, size: file.size }, (error) => (error ? reject(error) : resolve()));
  });
  // The archive only says that its source closed too early; the reading says why.
  written.catch(() => {});
  await pipeline(exactly(file), sink!);
  await written;
}

/** A device shows no size before it is read; one byte more than announced is enough to see that there is more. */
async function* exactly(file: { path: string; size: number }): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const chunk of createReadStream(file.path, { end: file.size, highWaterMark: pieceBytes })) {
    done += (chunk as Uint8Array).length;
    if (done > file.size) throw otherSize(file);
    yield chunk as Uint8Array;
  }
  if (done < file.size) throw otherSize(file);
}

function otherSize({ path, size }: { path: string; size: number }): Fail {
  return new Fail(`${path} does not have ${size} bytes any more, as it had when the archive was begun`);
}

function bytesOf(member: CpioEntry): Uint8Array {
  if (member.type === "symlink") return Buffer.from(member.target, "latin1");
  return member.type === "file" && "content" in member ? member.content : new Uint8Array();
}
