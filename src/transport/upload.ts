import { createReadStream } from "node:fs";
import type { ClientChannel } from "ssh2";
import { Fail, messageOf } from "../util/fail.ts";
import { execOn } from "./exec.ts";
import { passwordLine, type RootWay } from "./root.ts";
import type { Session } from "./session.ts";

export interface UploadOptions {
  readonly mode: number;
  readonly size: number;
  readonly sha256: string;
  /** Of a local file: the byte at which the content begins, where it is a part of the file. */
  readonly start?: number;
  readonly root?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number) => void;
}

/** A host that takes no byte for so long is lost. */
const stallMs = 60_000;
/** The slowest host still hashes and writes this much in a second. */
const slowestBytesPerSecond = 1024 * 1024;
const chunkBytes = 64 * 1024;
const codes = { damaged: 90, noTool: 91 };

/** Content on stdin; written beside the target and renamed when whole, so the target is never half a file. */
const receiveScript = `
set -eu
umask 077
part=$1.part
command -v sha256sum >/dev/null 2>&1 || exit ${codes.noTool}
trap 'rm -f -- "$part"' EXIT
trap 'exit 129' HUP INT TERM PIPE
rm -f -- "$part"
set -C
cat > "$part"
[ "$(($(wc -c < "$part")))" = "$4" ] || exit ${codes.damaged}
sum=$(sha256sum < "$part")
[ "\${sum%% *}" = "$2" ] || exit ${codes.damaged}
chmod "$3" "$part"
mv -f -- "$part" "$1"
`;

/** Streams bytes or a local file to the host; whole, with the right digest and mode, or not at all. */
export async function uploadTo(
  session: Session,
  source: string | Uint8Array,
  remotePath: string,
  options: UploadOptions,
  way: RootWay | undefined,
): Promise<void> {
  if (!remotePath.startsWith("/")) throw new Error(`upload to a relative path: ${remotePath}`);
  const argv = [
    "sh",
    "-c",
    receiveScript,
    "imgbuild",
    remotePath,
    options.sha256,
    options.mode.toString(8),
    String(options.size),
  ];
  const afterMs = stallMs + (options.size / slowestBytesPerSecond) * 1000;
  const stall = watch(session, remotePath);
  try {
    const work = execOn(session, way === undefined ? argv : way.wrap(argv), {
      shown: ["upload", remotePath],
      // The stall bounds it; this is for the sum of all pauses.
      timeoutMs: 2 ** 31 - 1,
      signal: anySignal(options.signal, stall.signal),
      accept: [0, codes.damaged, codes.noTool],
      feed: async (channel) => {
        const done = await feed(channel, source, way, options, () => stall.alive(stallMs));
        if (done !== options.size)
          throw new Fail(
            `${typeof source === "string" ? source : remotePath} has ${done} bytes, ${options.size} were announced`,
          );
        stall.alive(afterMs);
        channel.end();
      },
    });
    const { code } = await work;
    if (code === codes.noTool)
      throw new Fail(`${session.name} has no sha256sum`, { hint: "install its coreutils" });
    if (code === codes.damaged)
      throw new Fail(`${remotePath} did not arrive on ${session.name} as it was sent`, { hint: "try again" });
  } finally {
    stall.end();
  }
}

/** Writes as fast as the host takes it; returns the bytes of the content. */
async function feed(
  channel: ClientChannel,
  source: string | Uint8Array,
  way: RootWay | undefined,
  options: UploadOptions,
  alive: () => void,
): Promise<number> {
  const write = (bytes: Uint8Array) =>
    new Promise<void>((resolve, reject) =>
      channel.write(bytes, (error) => (error ? reject(error) : resolve())),
    );
  let done = 0;
  try {
    if (way !== undefined) await write(passwordLine(way));
    for await (const chunk of typeof source === "string" ? partOf(source, options) : slices(source)) {
      await write(chunk as Uint8Array);
      done += (chunk as Uint8Array).length;
      alive();
      options.onProgress?.(done);
    }
  } catch (error) {
    // The host's own answer, or the lost connection, says more than a failed write.
    if (channel.destroyed || !channel.writable) await new Promise(() => {});
    throw new Fail(`reading ${typeof source === "string" ? source : "the upload"}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return done;
}

/** Of a whole file everything is read, so that one that has become longer is noticed. */
function partOf(file: string, { start, size }: UploadOptions): AsyncIterable<Buffer> {
  return createReadStream(file, start === undefined ? {} : { start, end: start + size - 1 });
}

function* slices(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

function watch(
  session: Session,
  path: string,
): { signal: AbortSignal; alive: (ms: number) => void; end: () => void } {
  const stalled = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const alive = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(
      () => stalled.abort(new Fail(`${session.name} took nothing of ${path} for ${Math.round(ms / 1000)} s`)),
      ms,
    );
  };
  alive(stallMs);
  return { signal: stalled.signal, alive, end: () => clearTimeout(timer) };
}

function anySignal(...signals: (AbortSignal | undefined)[]): AbortSignal {
  return AbortSignal.any(signals.filter((signal) => signal !== undefined));
}
