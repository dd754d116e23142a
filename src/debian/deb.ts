import { open } from "node:fs/promises";
import { Fail } from "../util/fail.ts";

/** A member of an `ar` archive: where its bytes lie in the file. */
interface Member {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

const magic = "!<arch>\n";
const headerBytes = 60;
/** A binary package has three members (deb(5)); a few more are allowed for. */
const maxMembers = 16;

/** The compressed tar with a package's files, as it lies in the .deb; `name` is "data.tar.xz" or alike. */
export async function dataOfDeb(path: string): Promise<{ name: string; bytes: Buffer }> {
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
    for (let count = 0; offset + headerBytes <= size && count < maxMembers; count += 1) {
      const member = parseHeader(await read(offset, headerBytes), offset, path);
      if (member.offset + member.size > size) throw new Fail(`${path} ends early: not a Debian package`);
      if (member.name.startsWith("data.tar"))
        return { name: member.name, bytes: await read(member.offset, member.size) };
      // Members begin at even offsets.
      offset = member.offset + member.size + (member.size % 2);
    }
    throw new Fail(`${path} holds no data.tar`);
  } finally {
    await file.close();
  }
}

/** The flag by which tar(1) reads that compression. */
export function tarFlag(name: string): string[] {
  const flags: Readonly<Record<string, string[]>> = {
    "data.tar": [],
    "data.tar.gz": ["--gzip"],
    "data.tar.xz": ["--xz"],
    "data.tar.zst": ["--zstd"],
  };
  const flag = flags[name];
  if (flag === undefined)
    throw new Fail(`a package is compressed as ${name}; gzip, xz and zstd are supported`);
  return flag;
}

function parseHeader(header: Buffer, at: number, path: string): Member {
  const text = header.toString("latin1");
  const size = Number(text.slice(48, 58).trim());
  if (text.slice(58) !== "`\n" || !Number.isSafeInteger(size) || size < 0)
    throw new Fail(`${path} is damaged at byte ${at}`);
  return { name: text.slice(0, 16).trim().replace(/\/$/, ""), offset: at + headerBytes, size };
}
