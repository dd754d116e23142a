import { Fail } from "../../util/fail.ts";
import { bytesOfMember, type Member, unpacker } from "./deb.ts";
import { type TarSink, tarReader } from "./tar-reader.ts";

/** What is unpacked of packages may be that many times as large as they are, and so much more; Debian's have at most a tenth of it. */
const maxRatio = 200;
const freeBytes = 256 * 2 ** 20;

/** One packed archive inside of a .deb, and whose it is. */
export interface Archive<T> {
  readonly of: T;
  readonly file: string;
  readonly member: Member;
}

/** Runs an unpacking program: `input` goes in, what comes out goes to `onOutput`. */
export type Filter = (
  argv: readonly string[],
  io: { readonly input: AsyncIterable<Uint8Array>; readonly onOutput: (chunk: Buffer) => void },
) => Promise<void>;

/**
 * Reads archives, `lanes` at a time, in any order. A lane is one unpacking program that is fed one archive after the other, as xz,
 * gzip and zstd all allow: starting a program for each package would take longer than unpacking most of them.
 */
export async function readArchives<T>(
  archives: readonly Archive<T>[],
  options: {
    readonly lanes: number;
    readonly filter: Filter;
    readonly open: (of: T) => TarSink;
  },
): Promise<void> {
  const bySuffix = new Map<string, Archive<T>[]>();
  for (const archive of archives) {
    const suffix = archive.member.name.replace(/^\w+\.tar/, "");
    bySuffix.set(suffix, [...(bySuffix.get(suffix) ?? []), archive]);
  }
  for (const queue of bySuffix.values()) {
    // The largest first, so that all lanes end at about the same time.
    queue.sort((a, b) => b.member.size - a.member.size);
    const count = Math.min(options.lanes, queue.length);
    const ends = await Promise.allSettled(Array.from({ length: count }, () => lane(queue, options)));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }
}

async function lane<T>(
  queue: Archive<T>[],
  { filter, open }: { readonly filter: Filter; readonly open: (of: T) => TarSink },
): Promise<void> {
  const program = queue[0] === undefined ? undefined : unpacker(queue[0].member.name);
  // Fed, and not yet seen to begin: they come out in the order in which they went in.
  const fed: Archive<T>[] = [];
  let reading = "";
  const reader = tarReader(() => {
    const next = fed.shift();
    if (next === undefined) throw new Fail("a package holds more archives than it says");
    reading = next.file;
    return open(next.of);
  });
  let mayCome = freeBytes;
  const onOutput = (bytes: Buffer) => {
    mayCome -= bytes.length;
    if (mayCome < 0)
      throw new Fail(`a package unpacks to more than ${maxRatio} times its size: ${reading}`, {
        hint: "it was made to fill the disk; leave it out",
      });
    reader.push(bytes);
  };
  async function* input(): AsyncGenerator<Uint8Array> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      fed.push(next);
      mayCome += next.member.size * maxRatio;
      yield* bytesOfMember(next.file, next.member);
    }
  }
  try {
    if (program === undefined) for await (const bytes of input()) onOutput(Buffer.from(bytes));
    else await filter(program, { input: input(), onOutput });
    reader.finish();
    if (fed.length > 0) throw new Fail(`${fed[0]!.file} holds an empty archive`);
  } catch (error) {
    // The other lanes end with what they have begun.
    queue.length = 0;
    throw error;
  }
}
