import { getEventListeners, once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import ssh2 from "ssh2";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { Fail } from "../../../src/util/fail.ts";
import { Secret } from "../../../src/util/secret.ts";
import { serveAgent } from "../../helpers/labs/ssh-agent.ts";
import { clientKey, serveSsh, sessionTo } from "../../helpers/labs/ssh-server.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

afterEach(() => void vi.useRealTimers());

const noCommand = () => expect.unreachable();

/** A port that is no SSH server's. */
async function listening(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer(onSocket).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

function encryptedKeyFile(): string {
  const { private: text } = ssh2.utils.generateKeyPairSync("ed25519", {
    ...{ passphrase: "open it", cipher: "aes256-cbc", rounds: 1 },
  });
  const file = join(tempDir(), "key");
  writeFileSync(file, text);
  return file;
}

describe("a connection", () => {
  it("knows by which key it was opened, and leaves no clock and no listener", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { signal } = new AbortController();
    const { port } = await serveSsh(noCommand);
    const session = await sessionTo(port, { signal });
    expect(session).toMatchObject({ name: "127.0.0.1", openedBy: clientKey.public });
    expect(session.closed()).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("fails where nothing listens, or what does hangs up", async () => {
    const { port } = await serveSsh(noCommand);
    const gone = createServer().listen(0, "127.0.0.1");
    await once(gone, "listening");
    const { port: closed } = gone.address() as { port: number };
    gone.close();
    await once(gone, "close");
    await expect(sessionTo(closed)).rejects.toMatchObject({
      ...{ name: "Fail", hint: expect.stringMatching(/is the machine up/) },
      message: `no connection to 127.0.0.1 (127.0.0.1 port ${closed}): connect ECONNREFUSED 127.0.0.1:${closed}`,
    });
    const rude = await listening((socket) => socket.end());
    await expect(sessionTo(rude)).rejects.toMatchObject({
      message: `no connection to 127.0.0.1 (127.0.0.1 port ${rude}): Connection lost before handshake`,
    });
    (await sessionTo(port)).close();
  });

  it("fails where the host ends it while we log in, or the library cannot begin it", async () => {
    const { port, connections } = await serveSsh(noCommand, { onLogin: () => void connections[0]!.end() });
    await expect(sessionTo(port)).rejects.toMatchObject({
      ...{
        name: "Fail",
        message: `no connection to 127.0.0.1 (127.0.0.1 port ${port}): the connection was closed`,
      },
    });
    await expect(sessionTo(port, { destination: { user: null as never } })).rejects.toMatchObject({
      ...{ name: "Fail", message: expect.stringMatching(/^no connection to .*: Invalid username/) },
    });
  });

  it("is given up when the host does not answer in time", async () => {
    const ended = new Promise<void>((resolve) => {
      void listening((socket) => void socket.on("close", () => resolve()).resume()).then(async (port) => {
        vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
        const failed = expect(sessionTo(port, { timeoutMs: 3_000 })).rejects.toMatchObject({
          ...{ name: "Fail", message: "127.0.0.1 did not answer within 3 s" },
          hint: expect.stringMatching(/is the machine up/),
        });
        await vi.advanceTimersByTimeAsync(3_000);
        await failed;
      });
    });
    await ended;
  });

  it("is not begun when stopped before, and given up when stopped meanwhile", async () => {
    const stop = new AbortController();
    const sockets: Socket[] = [];
    const port = await listening((socket) => {
      sockets.push(socket.resume());
      stop.abort(new Fail("interrupted"));
    });
    await expect(sessionTo(port, { signal: stop.signal })).rejects.toThrow("interrupted");
    expect(getEventListeners(stop.signal, "abort")).toEqual([]);
    await expect(sessionTo(port, { signal: stop.signal })).rejects.toThrow("interrupted");
    expect(sockets.length).toBe(1);
    if (!sockets[0]!.closed) await once(sockets[0]!, "close");
  });

  it("fails with what was not tried where no key is taken", async () => {
    const { port } = await serveSsh(noCommand, { onLogin: (context) => context.reject() });
    const file = encryptedKeyFile();
    await expect(sessionTo(port, { login: { keyFiles: [file] } })).rejects.toMatchObject({
      name: "Fail",
      message: expect.stringMatching(
        new RegExp(`^127.0.0.1 lets u in with none of your keys\n  not tried: ${file}: Encrypted`),
      ),
      hint: expect.stringMatching(/log in as another user \(user@127.0.0.1\)$/),
    });
    await expect(sessionTo(port)).rejects.toThrow(/^127.0.0.1 lets u in with none of your keys$/);
  });

  it("fails where both sides have no algorithm in common", async () => {
    const { port } = await serveSsh(noCommand, { config: { algorithms: { cipher: ["3des-cbc"] } } });
    await expect(sessionTo(port)).rejects.toMatchObject({
      ...{
        name: "Fail",
        message: expect.stringMatching(/^127.0.0.1 and imgbuild have no algorithm in common: /),
      },
    });
  });

  it("goes on with the next key where the agent does not sign", async () => {
    const offered = ssh2.utils.generateKeyPairSync("ed25519").private;
    const options = { onLogin: (context: ssh2.AuthContext) => context.accept() };
    const { port } = await serveSsh(noCommand, options);
    const agent = await serveAgent([offered], { refuses: true });
    const file = join(tempDir(), "key");
    writeFileSync(file, clientKey.private);
    const session = await sessionTo(port, { destination: { agent, identityFiles: [file] } });
    expect(session.openedBy).toBe(clientKey.public);
    expect(session.lost().message).toBe("the connection to 127.0.0.1 was lost");
    await expect(sessionTo(port, { destination: { agent } })).rejects.toThrow(
      /none of your keys\n {2}not tried: a key of the agent: /,
    );
    const willing = await serveAgent([offered, clientKey.private]);
    const opened = await sessionTo(port, { destination: { agent: willing, identityFiles: [file] } });
    const first = ssh2.utils.parseKey(offered) as ssh2.ParsedKey;
    expect(opened.openedBy).toBe(`ssh-ed25519 ${first.getPublicSSH().toString("base64")}`);
  });

  it("waits for who types a passphrase, and then for the host as long as before", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let asked = 0;
    const login = {
      keyFiles: [encryptedKeyFile()],
      askPassphrase: async () => {
        asked += 1;
        await vi.advanceTimersByTimeAsync(600_000);
        return new Secret("passphrase", Buffer.from("open it"));
      },
    };
    const { port } = await serveSsh(noCommand);
    expect((await sessionTo(port, { login })).closed()).toBe(false);
    const mute = await serveSsh(noCommand, { onLogin: () => {} });
    const failed = expect(sessionTo(mute.port, { login, timeoutMs: 4_000 })).rejects.toThrow(
      "127.0.0.1 did not answer within 4 s",
    );
    while (asked < 2) await turn();
    while (vi.getTimerCount() === 0) await turn();
    await vi.advanceTimersByTimeAsync(4_000);
    await failed;
  });
});

describe("a connection that ends", () => {
  const opened = async () => {
    const served = await serveSsh(noCommand);
    return { session: await sessionTo(served.port), ...served };
  };

  it("calls back once who waits for it, and who asks later at once", async () => {
    const { session, connections } = await opened();
    const called: string[] = [];
    session.onClosed(() => called.push("first"));
    session.onClosed(() => called.push("taken back"))();
    const gone = new Promise<void>((resolve) => void session.onClosed(() => resolve()));
    connections[0]!.end();
    await gone;
    expect(called).toEqual(["first"]);
    expect(session.closed()).toBe(true);
    session.onClosed(() => called.push("later"));
    session.close();
    expect(called).toEqual(["first", "later"]);
    expect(session.lost().message).toBe("the connection to 127.0.0.1 was lost");
  });

  it("says why it was lost: the first reason", async () => {
    const { session } = await opened();
    session.client.emit("error", new Error("Keepalive timeout"));
    session.client.emit("error", new Error("read ECONNRESET"));
    expect(session.lost()).toMatchObject({
      ...{ name: "Fail", message: "the connection to 127.0.0.1 was lost: Keepalive timeout" },
      cause: expect.objectContaining({ message: "Keepalive timeout" }),
    });
  });

  it("by us is over at once, and cut after a second where the host goes on", async () => {
    const { session } = await opened();
    const cut = vi.spyOn(session.client, "destroy");
    let called = 0;
    session.onClosed(() => {
      called += 1;
    });
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const over = once(session.client, "close");
    session.close();
    expect(session.closed()).toBe(true);
    session.close();
    expect(called).toBe(1);
    vi.advanceTimersByTime(900);
    expect(cut).not.toHaveBeenCalled();
    vi.advanceTimersByTime(100);
    expect(cut).toHaveBeenCalledTimes(1);
    await over;
    expect(called).toBe(1);
  });
});
