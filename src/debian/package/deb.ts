import { open } from "node:fs/promises";
import { Fail } from "../../util/fail.ts";

/** A member of an `ar` archive: where its bytes are in the file. */
export interface Member {
  /** "data.tar.xz" or alike. */
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

const magic = "!<arch>\n";
const headerBytes = 60;
/** A binary package has three members (deb(5)); a few more are allowed for. */
const maxMembers = 16;
const pieceBytes = 256 * 1024;

/** Where a package's two archives are in its .deb: what dpkg keeps of it, and its files. */
export async function membersOfDeb(path: string): Promise<{ control: Member; data: Member }> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const read = async (offset: number, length: number) => {
      const bytes = Buffer.alloc(length);
      const { bytesRead } = await file.read(bytes, 0, length, offset);
      if (bytesRead !== length) throw new Fail(`${path} ends early: not a Debian package`);
      return bytes;
    };
    if ((await read(0, magic.length)).toString("latin1") !== magic)
      throw new Fail(`${path} is not a Debian package`);
    let offset = magic.length;
    let control: Member | undefined;
    for (let count = 0; offset + headerBytes <= size && count < maxMembers; count += 1) {
      const member = parseHeader(await read(offset, headerBytes), offset, path);
      if (member.offset + member.size > size) throw new Fail(`${path} ends early: not a Debian package`);
      if (member.name.startsWith("control.tar")) control = member;
      if (member.name.startsWith("data.tar")) {
        if (control === undefined) throw new Fail(`${path} holds no control.tar before its data`);
        return { control, data: member };
      }
      // Members begin at even offsets.
      offset = member.offset + member.size + (member.size % 2);
    }
    throw new Fail(`${path} holds no data.tar`);
  } finally {
    await file.close();
  }
}

/** The bytes of a member, in pieces. */
export async function* bytesOfMember(path: string, { offset, size }: Member): AsyncGenerator<Uint8Array> {
  const file = await open(path, "r");
  try {
    for (let at = 0; at < size; ) {
      const bytes = Buffer.allocUnsafe(Math.min(pieceBytes, size - at));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, offset + at);
      if (bytesRead === 0) throw new Fail(`${path} ends early: not a Debian package`);
      yield bytes.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
}

/** The program that unpacks a member of that name; undefined where it is not packed. */
export function unpacker(name: string): readonly string[] | undefined {
  const suffix = name.replace(/^(?:control|data)\.tar/, "");
  if (suffix === "") return undefined;
  const programs: Readonly<Record<string, readonly string[]>> = {
    ".gz": ["gzip", "--decompress", "--stdout"],
    ".xz": ["xz", "--decompress", "--stdout"],
    ".zst": ["zstd", "--decompress", "--stdout", "--quiet"],
  };
  const program = programs[suffix];
  if (program === undefined)
    throw new Fail(`a package is compressed as ${name}; gzip, xz and zstd are supported`);
  return program;
}

function parseHeader(header: Buffer, at: number, path: string): Member {
  const text = header.toString("latin1");
  const digits = text.slice(48, 58).trimEnd();
  if (text.slice(58) !== "`\n" || !/^[0-9]+$/.test(digits))
    throw new Fail(`${path} is damaged at byte ${at}`);
  return {
    name: text.slice(0, 16).trim().replace(/\/$/, ""),
    offset: at + headerBytes,
    size: Number(digits),
  };
}
