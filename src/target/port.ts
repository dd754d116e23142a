import { open } from "node:fs/promises";
import { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { Fail } from "../util/fail.ts";

/** udev names ports a moment after the kernel has found them. */
const appearMs = 60_000;
const lookEveryMs = 200;
/** A port at which no process listens reads as empty, at once. */
const nobodyMs = 200;
const chunkBytes = 64 * 1024;

/** The way to an operator outside of this virtual machine. One process at a time can have it. */
export async function openPort(name: string, directory = "/dev/virtio-ports"): Promise<Duplex> {
  const path = `${directory}/${name}`;
  const until = Date.now() + appearMs;
  for (;;) {
    const port = await open(path, "r+").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" && Date.now() < until) return undefined;
      throw new Fail(`the virtio port ${path} cannot be opened: ${error.code}`);
    });
    if (port !== undefined) return duplexOf(port);
    await sleep(lookEveryMs);
  }
}

/** Node has no stream for a character device other than a terminal. */
function duplexOf(port: Awaited<ReturnType<typeof open>>): Duplex {
  const buffer = Buffer.alloc(chunkBytes);
  const readSome = async (): Promise<void> => {
    while (!stream.destroyed) {
      const { bytesRead } = await port.read(buffer, 0, chunkBytes, null);
      if (bytesRead > 0) return void stream.push(Buffer.from(buffer.subarray(0, bytesRead)));
      await sleep(nobodyMs);
    }
  };
  const writeAll = async (chunk: Buffer): Promise<void> => {
    for (let done = 0; done < chunk.length; )
      done += (await port.write(chunk, done, chunk.length - done, null)).bytesWritten;
  };
  const stream = new Duplex({
    read: () => void readSome().catch((error: Error) => stream.destroy(error)),
    write: (chunk: Buffer, _encoding, done) => void writeAll(chunk).then(() => done(), done),
    destroy: (error, done) => {
      // A read that waits for the other end is not interrupted; the port then goes with the process.
      void port.close().catch(() => {});
      done(error);
    },
  });
  return stream;
}
