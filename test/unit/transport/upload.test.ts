import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { ServerChannel } from "ssh2";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Session } from "../../../src/transport/session.ts";
import { type UploadOptions, uploadTo } from "../../../src/transport/upload.ts";
import { sha256 } from "../../../src/util/digest.ts";
import { Fail } from "../../../src/util/fail.ts";
import { commandsEnded, runHere, serveSsh, sessionTo } from "../../helpers/labs/ssh-server.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

afterEach(() => void vi.useRealTimers());

const chunk = 64 * 1024;
const bytes = Buffer.alloc(2 * chunk + 5, "abc\0\n");
const about = (content: Uint8Array): UploadOptions => ({
  ...{ mode: 0o640, size: content.length, sha256: sha256(content) },
});

async function here(path = "/usr/bin:/bin"): Promise<Session> {
  return await sessionTo((await serveSsh(runHere(path))).port);
}

/** A host that does this instead. */
async function that(answer: (channel: ServerChannel) => void): Promise<Session> {
  return await sessionTo((await serveSsh((accept) => answer(accept()))).port);
}

describe("an upload", () => {
  it("of bytes or of a file arrives whole, with its mode, and says how far it is", async () => {
    const [session, dir] = [await here(), tempDir()];
    const done: number[] = [];
    const options = { ...about(bytes), onProgress: (sent: number) => done.push(sent) };
    await uploadTo(session, bytes, join(dir, "a file"), options, undefined);
    expect(readFileSync(join(dir, "a file"))).toEqual(bytes);
    expect(statSync(join(dir, "a file")).mode & 0o7777).toBe(0o640);
    expect(done).toEqual([chunk, 2 * chunk, bytes.length]);
    done.length = 0;
    await uploadTo(session, join(dir, "a file"), join(dir, "copy"), options, undefined);
    expect(readFileSync(join(dir, "copy"))).toEqual(bytes);
    expect(done).toEqual([chunk, 2 * chunk, bytes.length]);
    done.length = 0;
    const empty = { ...options, ...about(Buffer.from("")) };
    await uploadTo(session, new Uint8Array(), join(dir, "empty"), empty, undefined);
    expect(done).toEqual([]);
    expect(statSync(join(dir, "empty")).size).toBe(0);
    expect(readdirSync(dir).sort()).toEqual(["a file", "copy", "empty"]);
  });

  it("takes the place of the file that was there, or leaves it as it is", async () => {
    const [session, dir] = [await here(), tempDir()];
    const to = join(dir, "there");
    writeFileSync(to, "before");
    writeFileSync(`${to}.part`, "of another time");
    const bad = { ...about(bytes), sha256: sha256("another") };
    await expect(uploadTo(session, bytes, to, bad, undefined)).rejects.toThrow(
      expect.objectContaining({
        message: `${to} did not arrive on 127.0.0.1 as it was sent`,
        hint: "try again",
      }),
    );
    expect(readFileSync(to, "utf8")).toBe("before");
    expect(readdirSync(dir)).toEqual(["there"]);
    await uploadTo(session, bytes, to, about(bytes), undefined);
    expect(readFileSync(to)).toEqual(bytes);
  });

  it.each([-1, 1])("of a size other than announced (%d) is not sent to its end", async (more) => {
    const [session, dir] = [await here(), tempDir()];
    const options = { ...about(bytes), size: bytes.length + more };
    const file = join(dir, "source");
    writeFileSync(file, bytes);
    const wrong = `has ${bytes.length} bytes, ${bytes.length + more} were announced`;
    await expect(uploadTo(session, bytes, join(dir, "to"), options, undefined)).rejects.toThrow(
      `${join(dir, "to")} ${wrong}`,
    );
    await commandsEnded();
    await expect(uploadTo(session, file, join(dir, "to"), options, undefined)).rejects.toThrow(
      `${file} ${wrong}`,
    );
    await commandsEnded();
    expect(readdirSync(dir)).toEqual(["source"]);
  });

  it("goes to an absolute path alone", async () => {
    const session = await that(() => expect.unreachable());
    await expect(uploadTo(session, bytes, "to", about(bytes), undefined)).rejects.toThrow(
      "upload to a relative path: to",
    );
  });

  it("fails where the host lacks a tool, has no such directory, or the file is not there", async () => {
    const dir = tempDir();
    mkdirSync(join(dir, "bin"));
    writeFileSync(join(dir, "bin", "sh"), `#!/bin/sh\nexec /bin/sh "$@"\n`, { mode: 0o755 });
    const bare = await here(join(dir, "bin"));
    await expect(uploadTo(bare, bytes, join(dir, "to"), about(bytes), undefined)).rejects.toThrow(
      expect.objectContaining({ message: "127.0.0.1 has no sha256sum", hint: "install its coreutils" }),
    );
    const session = await here();
    const nowhere = join(dir, "no/dir");
    // Far more than the host takes before it says no.
    const large = Buffer.alloc(8 * 1024 * 1024);
    await expect(uploadTo(session, large, nowhere, about(large), undefined)).rejects.toThrow(
      new RegExp(`^upload ${nowhere} on 127.0.0.1 exited \\d+\n.*no/dir.part`),
    );
    await expect(uploadTo(session, "/nowhere", join(dir, "to"), about(bytes), undefined)).rejects.toThrow(
      /^reading \/nowhere: ENOENT/,
    );
    await commandsEnded();
    expect(readdirSync(dir)).toEqual(["bin"]);
  });

  it("that is cut off leaves nothing (F03)", async () => {
    const [session, dir] = [await here(), tempDir()];
    const stop = new AbortController();
    const options: UploadOptions = {
      ...{ ...about(bytes), signal: stop.signal },
      onProgress: () => {
        expect(readdirSync(dir)).not.toContain("to");
        stop.abort(new Fail("the cable is out"));
      },
    };
    await expect(uploadTo(session, bytes, join(dir, "to"), options, undefined)).rejects.toThrow(
      "the cable is out",
    );
    await commandsEnded();
    expect(readdirSync(dir)).toEqual([]);
    await expect(uploadTo(session, bytes, join(dir, "to"), options, undefined)).rejects.toThrow(
      "the cable is out",
    );
  });

  it("is read by the command that becomes root after the password, which is not counted", async () => {
    const [session, dir] = [await here(), tempDir()];
    const way = {
      by: "sudo" as const,
      wrap: (argv: readonly string[]) => [
        "sh",
        "-c",
        'IFS= read -r word; [ "$word" = sesame ] && exec "$@"',
        "sh",
        ...argv,
      ],
      password: { expose: () => Buffer.from("sesame") } as never,
    };
    await uploadTo(session, bytes, join(dir, "to"), about(bytes), way);
    expect(readFileSync(join(dir, "to"))).toEqual(bytes);
  });
});

describe("an upload that a host does not take", () => {
  const started = () => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const settled = (work: Promise<void>) =>
    work.then(
      () => "done",
      (error: Error) => error.message,
    );

  it("fails after a minute without a byte taken", async () => {
    // A window's worth is taken, and then no more.
    const large = Buffer.alloc(16 * 1024 * 1024);
    const session = await that(() => {});
    started();
    let sent = 0;
    const options: UploadOptions = {
      ...about(large),
      onProgress: (done) => {
        sent = done;
      },
    };
    const work = settled(uploadTo(session, large, "/to", options, undefined));
    for (let before = -1; before !== sent || sent === 0; await turn()) {
      before = sent;
      for (let wait = 0; wait < 50; wait += 1) await turn();
    }
    await vi.advanceTimersByTimeAsync(59_000);
    expect(await Promise.race([work, turn("waits")])).toBe("waits");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await work).toBe("127.0.0.1 took nothing of /to for 60 s");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("may take a second more for each MiB, once it has all", async () => {
    const mib = 1024 * 1024;
    const content = Buffer.alloc(3 * mib);
    let ended = false;
    const session = await that((channel) => {
      channel.on("end", () => {
        ended = true;
      });
      channel.resume();
    });
    started();
    const work = settled(uploadTo(session, content, "/to", about(content), undefined));
    while (!ended) await turn();
    await vi.advanceTimersByTimeAsync(62_000);
    expect(await Promise.race([work, turn("waits")])).toBe("waits");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await work).toBe("127.0.0.1 took nothing of /to for 63 s");
  });

  it("goes on for as long as something is taken, and leaves no clock running", async () => {
    const large = Buffer.alloc(3 * chunk);
    const session = await that((channel) => {
      channel.on("end", () => {
        channel.exit(0);
        channel.end();
      });
      channel.resume();
    });
    started();
    const options: UploadOptions = { ...about(large), onProgress: () => vi.advanceTimersByTime(50_000) };
    const work = settled(uploadTo(session, large, "/to", options, undefined));
    expect(await work).toBe("done");
    expect(vi.getTimerCount()).toBe(0);
  });
});
