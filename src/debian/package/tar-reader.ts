import { Fail } from "../../util/fail.ts";

/** What a member of a package's tar says of itself (deb(5): ustar with GNU's long names, nothing else). */
export interface TarMember {
  /** As written, "./usr/bin/x". */
  readonly name: string;
  readonly type: "file" | "directory" | "symlink" | "hardlink" | "special";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly userName: string;
  readonly groupName: string;
  /** Seconds since the epoch. */
  readonly mtime: number;
  readonly size: number;
  readonly link: string;
}

/** Takes what one archive holds, in order. */
export interface TarSink {
  /** Called for every member; what it returns gets the member's bytes in pieces, and is closed after the last. */
  member(member: TarMember): TarContent | undefined;
  /** The archive is over. */
  end(): void;
}

export interface TarContent {
  write(piece: Buffer): void;
  close(): void;
}

const blockBytes = 512;
/** GNU's long names; a path cannot be longer (PATH_MAX). */
const maxLongName = 4096 + 1;
const types: Readonly<Record<string, TarMember["type"] | "long-name" | "long-link">> = {
  "\0": "file",
  "0": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "special",
  "4": "special",
  "5": "directory",
  "6": "special",
  L: "long-name",
  K: "long-link",
};

const none = Buffer.alloc(0);

/**
 * Reads archives that follow each other in one stream; `next` gives the sink of each as it begins. It is pushed and writes at
 * once, so that a tree of any size is unpacked in the memory of one piece.
 */
export function tarReader(next: () => TarSink): { push(chunk: Buffer): void; finish(): void } {
  let sink: TarSink | undefined;
  let rest: Buffer = none;
  let content: TarContent | undefined;
  let left = 0;
  let padding = 0;
  const long: LongNames = {};

  const begin = (block: Buffer): void => {
    // Archives end in blocks of zeros, and are padded with more of them.
    if (block[0] === 0 && block.every((byte) => byte === 0)) {
      sink?.end();
      sink = undefined;
      return;
    }
    sink ??= next();
    const { type, size } = kindOf(block);
    left = size;
    padding = (blockBytes - (size % blockBytes)) % blockBytes;
    if (type === "long-name" || type === "long-link") {
      content = longName(type, size, long);
      return;
    }
    content = sink.member(memberOf(block, type, size, long));
    if (left === 0) endOfContent();
  };
  const endOfContent = () => {
    content?.close();
    content = undefined;
  };
  /** Takes what of a piece belongs to the next header, and gives its length. */
  const takeHeader = (piece: Buffer): number => {
    const taken = piece.subarray(0, blockBytes - rest.length);
    const block = taken.length === blockBytes ? taken : Buffer.concat([rest, taken]);
    rest = block.length < blockBytes ? block : none;
    if (block.length === blockBytes) begin(block);
    return taken.length;
  };

  return {
    push(chunk) {
      for (let at = 0; at < chunk.length; ) {
        if (left > 0) {
          const piece = chunk.subarray(at, at + left);
          content?.write(piece);
          at += piece.length;
          left -= piece.length;
          if (left === 0) endOfContent();
        } else if (padding > 0) {
          const skipped = Math.min(padding, chunk.length - at);
          at += skipped;
          padding -= skipped;
        } else at += takeHeader(chunk.subarray(at));
      }
    },
    finish() {
      if (left > 0 || padding > 0 || rest.length > 0 || content !== undefined || sink !== undefined)
        throw new Fail("a package's archive ends early");
    },
  };
}

/** Names that came before the member whose they are. */
type LongNames = { "long-name"?: string; "long-link"?: string };

function kindOf(block: Buffer): { type: TarMember["type"] | keyof LongNames; size: number } {
  checkSum(block);
  const flag = block.toString("latin1", 156, 157);
  const type = types[flag];
  if (type === undefined) throw new Fail(`a package's archive has a member of type ${JSON.stringify(flag)}`);
  return { type, size: type === "file" || type.startsWith("long") ? number(block, 124, 136) : 0 };
}

function longName(type: keyof LongNames, size: number, long: LongNames): TarContent {
  if (size > maxLongName) throw new Fail(`a package's archive has a name of ${size} bytes`);
  const pieces: Buffer[] = [];
  return {
    write: (piece) => pieces.push(Buffer.from(piece)),
    close: () => {
      long[type] = text(Buffer.concat(pieces), 0, size);
    },
  };
}

function memberOf(block: Buffer, type: TarMember["type"], size: number, long: LongNames): TarMember {
  const name = long["long-name"] ?? text(block, 0, 100);
  const link = long["long-link"] ?? text(block, 157, 257);
  delete long["long-name"];
  delete long["long-link"];
  return {
    name,
    // Before POSIX a directory was a file with a slash after its name.
    type: type === "file" && name.endsWith("/") ? "directory" : type,
    mode: number(block, 100, 108) & 0o7777,
    uid: number(block, 108, 116),
    gid: number(block, 116, 124),
    userName: text(block, 265, 297),
    groupName: text(block, 297, 329),
    mtime: number(block, 136, 148),
    size,
    link,
  };
}

function checkSum(block: Buffer): void {
  let sum = 0;
  for (let at = 0; at < blockBytes; at += 1) sum += at >= 148 && at < 156 ? 0x20 : block[at]!;
  if (sum !== number(block, 148, 156)) throw new Fail("a package's archive is damaged");
}

function number(block: Buffer, from: number, to: number): number {
  const digits = text(block, from, to).trim();
  if (!/^[0-7]*$/.test(digits)) throw new Fail("a package's archive is damaged");
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

function text(block: Buffer, from: number, to: number): string {
  const field = block.subarray(from, to);
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end < 0 ? field.length : end);
}
