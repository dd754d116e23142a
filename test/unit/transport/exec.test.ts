import { getEventListeners } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import type { ServerChannel } from "ssh2";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type ExecOptions, execOn, openChannel } from "../../../src/transport/exec.ts";
import type { Session } from "../../../src/transport/session.ts";
import { Fail } from "../../../src/util/fail.ts";
import { Secret } from "../../../src/util/secret.ts";
import { type ServedSsh, serveSsh, sessionTo } from "../../helpers/labs/ssh-server.ts";

afterEach(() => void vi.useRealTimers());

/** A session, how many callbacks wait for its end, and how many have waited for a command's answer and do no more. */
interface Counted extends Session {
  readonly waiting: () => number;
  readonly opened: () => number;
}

/** A host that answers so; `closed` counts the commands whose channel was closed. */
async function on(
  answer: (channel: ServerChannel) => void,
): Promise<ServedSsh & { session: Counted; closed: () => number; begun: Promise<void> }> {
  let closed = 0;
  let begin = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const served = await serveSsh((accept) => {
    const channel = accept();
    channel.on("close", () => {
      closed += 1;
    });
    channel.resume();
    answer(channel);
    begin();
  });
  return { ...served, session: counted(await sessionTo(served.port)), closed: () => closed, begun };
}

function counted(session: Session): Counted {
  let [waiting, opened] = [0, 0];
  return {
    ...session,
    onClosed: (callback) => {
      waiting += 1;
      const takeBack = session.onClosed(callback);
      return () => {
        waiting -= 1;
        opened += 1;
        takeBack();
      };
    },
    waiting: () => waiting,
    opened: () => opened,
  };
}

/** A command that prints and exits. */
const prints =
  (stdout: string, stderr = "", code = 0) =>
  (channel: ServerChannel) => {
    channel.write(stdout);
    channel.stderr.write(stderr);
    channel.exit(code);
    channel.end();
  };

async function failing(
  answer: (channel: ServerChannel) => void,
  argv: readonly string[] = ["do"],
  options: ExecOptions & { shown?: readonly string[] } = {},
): Promise<Error> {
  const { session } = await on(answer);
  return await execOn(session, argv, options).then(
    () => expect.unreachable(),
    (error: Error) => error,
  );
}

describe("a command on a host", () => {
  it("returns its code and what it printed, and leaves nothing waiting", async () => {
    const { session, commands } = await on(prints("out\n", "err\n"));
    const { signal } = new AbortController();
    expect(await execOn(session, ["printf", "a b"], { signal })).toEqual({
      ...{ code: 0, stdout: "out\n", stderr: "err\n" },
    });
    expect(commands).toEqual(["'printf' 'a b'"]);
    expect(session.waiting()).toBe(0);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("reads what it is given, then the end", async () => {
    const { session } = await on((channel) => {
      const read: Buffer[] = [];
      channel.on("data", (chunk: Buffer) => read.push(chunk));
      channel.on("end", () => prints(`[${Buffer.concat(read)}]`)(channel));
    });
    expect((await execOn(session, ["cat"], { stdin: "given" })).stdout).toBe("[given]");
    expect((await execOn(session, ["cat"])).stdout).toBe("[]");
    const feed: Parameters<typeof execOn>[2] = {
      feed: async (channel) => void channel.end("fed"),
    };
    expect((await execOn(session, ["cat"], feed)).stdout).toBe("[fed]");
  });

  it("may exit as is accepted, with 0 only where that is said", async () => {
    const { session } = await on(prints("", "", 3));
    expect((await execOn(session, ["do"], { accept: [0, 3] })).code).toBe(3);
    await expect(execOn(session, ["do"])).rejects.toThrow(/^'?do'? on 127.0.0.1 exited 3$/);
    const { session: other } = await on(prints(""));
    await expect(execOn(other, ["do"], { accept: [3] })).rejects.toThrow(/exited 0$/);
  });

  it("fails with the end of its stderr, else of its stdout, without the secrets that are held", async () => {
    expect((await failing(prints("out", "why\n", 1))).message).toBe("do on 127.0.0.1 exited 1\nwhy");
    expect((await failing(prints("  out\n", "", 1))).message).toBe("do on 127.0.0.1 exited 1\nout");
    const long = await failing(prints("", `${"a".repeat(3_000)}${"b".repeat(1_999)}\n`, 1));
    expect(long.message).toBe(`do on 127.0.0.1 exited 1\n${"b".repeat(1_999)}`);
    const secret = new Secret("token", Buffer.from("s3cret-enough"));
    expect((await failing(prints("", "bad token s3cret-enough", 1))).message).toMatch(
      /bad token <secret token>$/,
    );
    secret.wipe();
  });

  it("is named by the argv that is shown, its long words by their beginning", async () => {
    const word = "w".repeat(60);
    const named = async (argv: string[], shown?: string[]) =>
      (await failing(prints("", "", 1), argv, shown === undefined ? {} : { shown })).message;
    expect(await named(["sudo", "real"], ["shown", "argv"])).toBe("shown argv on 127.0.0.1 exited 1");
    expect(await named(["do", word])).toBe(`do ${word} on 127.0.0.1 exited 1`);
    expect(await named(["do", `\n ${word}y`])).toBe(`do "${word}…" on 127.0.0.1 exited 1`);
  });

  it("that is killed by a signal fails by it, whatever codes are accepted", async () => {
    const killed = (channel: ServerChannel) => {
      channel.exit("TERM");
      channel.end();
    };
    const every = { accept: Array.from({ length: 256 }, (_, code) => code) };
    expect((await failing(killed, ["do"], every)).message).toMatch(
      /^do on 127.0.0.1 was killed by (SIG)?TERM$/,
    );
  });

  it("that ends without saying how has failed", async () => {
    const error = await failing((channel) => channel.end(), ["do"], { accept: [0, 128] });
    expect(error).toBeInstanceOf(Fail);
    expect(error.message).toBe("do on 127.0.0.1 ended without an exit code");
  });

  it("may print as much as is allowed on both outputs together, and is given up for a byte more", async () => {
    const { session } = await on(prints("12345", "67890"));
    expect(await execOn(session, ["do"], { maxBytes: 10 })).toMatchObject({
      stdout: "12345",
      stderr: "67890",
    });
    const endless = await on((channel) => {
      channel.write("12345");
      channel.stderr.write("678901");
    });
    await expect(execOn(endless.session, ["do"], { maxBytes: 10 })).rejects.toThrow(
      /^do on 127.0.0.1 printed more than 10 bytes$/,
    );
    await vi.waitFor(() => expect(endless.closed()).toBe(1));
    expect(endless.session.waiting()).toBe(0);
  });

  it("may print 16 MiB where no bound is given", async () => {
    const mib = 1024 * 1024;
    const { session } = await on((channel) => {
      channel.write(Buffer.alloc(16 * mib, "a"), () => {
        channel.exit(0);
        channel.end();
      });
    });
    expect((await execOn(session, ["do"])).stdout.length).toBe(16 * mib);
  });

  it("hands its lines on as they come, whole, whatever the pieces", async () => {
    const { session } = await on((channel) => {
      const bytes = Buffer.from("one\ntwo é\n\nthr");
      let at = 0;
      const next = () => {
        if (at < bytes.length) return void channel.write(bytes.subarray(at, ++at), next);
        channel.stderr.write("of stderr\n");
        channel.exit(0);
        channel.end("ee");
      };
      next();
    });
    const lines: string[] = [];
    const { stdout } = await execOn(session, ["do"], { onLine: (line) => lines.push(line) });
    expect(stdout).toBe("one\ntwo é\n\nthree");
    expect(lines.filter((line) => line !== "of stderr")).toEqual(["one", "two é", "", "three"]);
    expect(lines).toContain("of stderr");
    lines.length = 0;
    const { session: ended } = await on(prints("all\n"));
    await execOn(ended, ["do"], { onLine: (line) => lines.push(line) });
    expect(lines).toEqual(["all"]);
  });

  it("is given up when its time is over: what is given, else ten minutes", async () => {
    const { session, closed } = await on(() => {});
    await expect(execOn(session, ["do"], { timeoutMs: 20 })).rejects.toThrow(
      /^do on 127.0.0.1 did not end within 0 s$/,
    );
    await vi.waitFor(() => expect(closed()).toBe(1));
    const slow = await on(() => {});
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const done = execOn(slow.session, ["do"]).catch((error: Error) => error.message);
    await slow.begun;
    while (slow.session.opened() === 0) await turn();
    await vi.advanceTimersByTimeAsync(599_000);
    expect(await Promise.race([done, turn("runs")])).toBe("runs");
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await done).toBe("do on 127.0.0.1 did not end within 600 s");
    expect(slow.session.waiting()).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is not begun when stopped before, and given up when stopped while it runs", async () => {
    const stop = new AbortController();
    const { session, closed, commands, begun } = await on(() => {});
    const done = execOn(session, ["do"], { signal: stop.signal });
    done.catch(() => {});
    await begun;
    while (session.opened() === 0) await turn();
    stop.abort(new Fail("interrupted"));
    await expect(done).rejects.toThrow("interrupted");
    expect(getEventListeners(stop.signal, "abort")).toEqual([]);
    await vi.waitFor(() => expect(closed()).toBe(1));
    await expect(execOn(session, ["do"], { signal: stop.signal })).rejects.toThrow("interrupted");
    expect(commands.length).toBe(1);
  });

  it("fails when what feeds it does, and is given up", async () => {
    const { session, closed } = await on(() => {});
    const feed = async () => Promise.reject(new Fail("nothing to feed"));
    await expect(execOn(session, ["do"], { feed })).rejects.toThrow("nothing to feed");
    await vi.waitFor(() => expect(closed()).toBe(1));
  });

  it("fails when the connection is lost meanwhile, and at once when it was lost before", async () => {
    const { session, connections, begun } = await on(() => {});
    const done = execOn(session, ["do"]);
    done.catch(() => {});
    await begun;
    connections[0]!.end();
    await expect(done).rejects.toThrow(/^the connection to 127.0.0.1 was lost/);
    await expect(execOn(session, ["do"])).rejects.toThrow(/^the connection to 127.0.0.1 was lost/);
    expect(session.waiting()).toBe(0);
  });
});

describe("what is opened on a connection", () => {
  const never = async () => counted(await sessionTo((await serveSsh(() => {})).port));

  it("may be refused by the host", async () => {
    const { port } = await serveSsh((_accept, _command, reject) => reject());
    const session = counted(await sessionTo(port));
    await expect(execOn(session, ["do"])).rejects.toThrow(/^do on 127.0.0.1: Unable to exec/);
    await expect(execOn(session, ["do"])).rejects.toBeInstanceOf(Fail);
    expect(session.waiting()).toBe(0);
  });

  it("fails where the host does not answer within a minute", async () => {
    const session = await never();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const done = execOn(session, ["do"]).catch((error: Error) => error);
    await vi.advanceTimersByTimeAsync(59_000);
    expect(await Promise.race([done, turn("waits")])).toBe("waits");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await done).toMatchObject({ name: "Fail", message: "do on 127.0.0.1: no answer within 60 s" });
    expect(session.waiting()).toBe(0);
  });

  it("is given up when the caller stops it, or the connection is lost", async () => {
    const stop = new AbortController();
    const session = await never();
    const done = execOn(session, ["do"], { signal: stop.signal });
    const stopped = expect(done).rejects.toThrow("my reason");
    stop.abort(new Error("my reason"));
    await stopped;
    expect(getEventListeners(stop.signal, "abort")).toEqual([]);
    const lost = expect(execOn(session, ["do"])).rejects.toThrow(/was lost/);
    session.close();
    await lost;
    expect(session.waiting()).toBe(0);
  });

  it("is closed when it comes after it was given up", async () => {
    const stop = new AbortController();
    let closed = 0;
    const { port } = await serveSsh((accept) => {
      stop.abort(new Error("too late"));
      const channel = accept();
      channel.on("close", () => {
        closed += 1;
      });
      channel.resume();
    });
    const session = await sessionTo(port);
    await expect(execOn(session, ["do"], { signal: stop.signal })).rejects.toThrow("too late");
    await vi.waitFor(() => expect(closed).toBe(1));
  });

  it("fails as a Fail also where the library throws", async () => {
    const session = await never();
    const thrown = openChannel(session, "opening it", () => {
      throw new Error("Not connected");
    });
    await expect(thrown).rejects.toMatchObject({ name: "Fail", message: "opening it: Not connected" });
    expect(session.waiting()).toBe(0);
  });
});
