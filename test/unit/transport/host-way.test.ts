import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, connect as dial } from "node:net";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import ssh2, { type Connection } from "ssh2";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type ConnectOptions, connect, publicKeysHeld } from "../../../src/transport/host.ts";
import { generateSshKey } from "../../../src/transport/keys.ts";
import { sha256 } from "../../../src/util/digest.ts";
import { Fail } from "../../../src/util/fail.ts";
import { clientKey, runHere, type ServedSsh, serverKey, serveSsh } from "../../helpers/labs/ssh-server.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

afterEach(() => void vi.useRealTimers());

const ownKey = generateSshKey("own");

interface Relay extends ServedSsh {
  readonly logins: readonly string[];
  readonly asked: readonly string[];
  readonly ended: () => number;
}

/** A host that leads on to ports and sockets, and says who logged in by which key, and where it led. */
async function relay(hostKey = serverKey.private): Promise<Relay> {
  const [logins, asked]: [string[], string[]] = [[], []];
  let ended = 0;
  const served = await serveSsh(runHere("/usr/bin:/bin"), {
    config: { hostKeys: [hostKey] },
    onLogin: (context) => {
      if (context.method !== "publickey") return context.reject();
      const key = `${context.key.algo} ${context.key.data.toString("base64")}`;
      if (context.signature !== undefined) logins.push(`${context.username} ${key}`);
      context.accept();
    },
    onConnection: (connection) => {
      connection.on("close", () => {
        ended += 1;
      });
      lead(connection, asked);
    },
  });
  return { ...served, logins, asked, ended: () => ended };
}

function lead(connection: Connection, asked: string[]): void {
  const through = (to: ReturnType<typeof dial>, accept: () => NodeJS.ReadWriteStream, reject: () => void) => {
    to.on("error", () => reject());
    to.on("connect", () => {
      const channel = accept();
      channel.on("error", () => {});
      channel.pipe(to).pipe(channel);
    });
  };
  connection.on("tcpip", (accept, reject, { destIP, destPort, srcIP, srcPort }) => {
    asked.push(`${srcIP}:${srcPort} ${destIP}:${destPort}`);
    through(dial(destPort, destIP), accept, () => reject());
  });
  connection.on("openssh.streamlocal" as "tcpip", (accept, reject, info) => {
    through(dial((info as unknown as { socketPath: string }).socketPath), accept, () => reject());
  });
}

/** A home with this ssh_config, a key file and hosts that all have the server's key. */
function homeWith(config: string): string {
  const home = tempDir();
  mkdirSync(join(home, ".ssh"));
  writeFileSync(join(home, ".ssh/config"), config);
  writeFileSync(join(home, ".ssh/id_ed25519"), ownKey.private);
  writeFileSync(join(home, ".ssh/known_hosts"), `[127.0.0.1]:* ${serverKey.public}\n`);
  return home;
}

const alias = (name: string, port: number, jump?: string) =>
  `Host ${name}\n  HostName 127.0.0.1\n  Port ${port}\n  User ${name}-user\n${jump === undefined ? "" : `  ProxyJump ${jump}\n`}`;

async function failureOf(target: string, options: ConnectOptions): Promise<Error> {
  return await connect(target, options).then(
    () => expect.unreachable(),
    (error: Error) => error,
  );
}

describe("the way to a host", () => {
  it("gives the hosts on it neither the user, the key nor the pins of the target", async () => {
    const targetKey = generateSshKey("target");
    const [near, mid, target] = [await relay(), await relay(), await relay(targetKey.private)];
    const config = `${alias("near", near.port)}${alias("mid", mid.port)}${alias("web", target.port, "near,mid")}`;
    const options = { user: "given", key: clientKey.private, pins: [targetKey.public] };
    const host = await connect("web", { home: homeWith(config), ...options });
    expect(near.logins).toEqual([`near-user ${ownKey.public}`]);
    expect(mid.logins).toEqual([`mid-user ${ownKey.public}`]);
    expect(target.logins).toEqual([`given ${clientKey.public}`]);
    expect(near.asked).toEqual([`127.0.0.1:0 127.0.0.1:${mid.port}`]);
    expect(mid.asked).toEqual([`127.0.0.1:0 127.0.0.1:${target.port}`]);
    expect(host).toMatchObject({ name: "web", openedBy: clientKey.public, closed: false });
    expect((await host.exec(["echo", "through two"])).stdout).toBe("through two\n");
    host.close();
    expect(host.closed).toBe(true);
    await vi.waitFor(() => expect([near, mid, target].map((one) => one.ended())).toEqual([1, 1, 1]));
  });

  it("goes through the way of the first host on it, and of no other", async () => {
    const [near, far] = [await relay(), await relay()];
    const config = `${alias("near", near.port)}${alias("mid", near.port, "near")}${alias("web", far.port, "mid")}${alias("other", near.port, "nowhere")}${alias("list", far.port, "near,other")}`;
    const home = homeWith(config);
    (await connect("web", { home })).close();
    expect(near.logins.map((login) => login.split(" ")[0])).toEqual(["near-user", "mid-user"]);
    expect(near.asked).toEqual([`127.0.0.1:0 127.0.0.1:${near.port}`, `127.0.0.1:0 127.0.0.1:${far.port}`]);
    (await connect("list", { home })).close();
    expect(near.logins.slice(2).map((login) => login.split(" ")[0])).toEqual(["near-user", "other-user"]);
  });

  it("leads through eight hosts and no more, and in no circle", async () => {
    const { port } = await relay();
    const chain = Array.from({ length: 10 }, (_, index) =>
      alias(`h${index}`, port, index === 0 ? undefined : `h${index - 1}`),
    ).join("");
    const home = homeWith(`${chain}${alias("loop", port, "loop")}`);
    (await connect("h8", { home })).close();
    for (const target of ["h9", "loop"])
      expect(await failureOf(target, { home })).toMatchObject({
        ...{ name: "Fail", message: expect.stringMatching(/^ProxyJump leads in a circle or too far: /) },
        hint: expect.anything(),
      });
  });

  it("is left when the last host is not the right one", async () => {
    const [near, far] = [await relay(), await relay(generateSshKey("another").private)];
    const home = homeWith(`${alias("near", near.port)}${alias("web", far.port, "near")}`);
    expect((await failureOf("web", { home })).message).toMatch(/host key of .* has changed/);
    expect(far.logins).toEqual([]);
    await vi.waitFor(() => expect(near.ended()).toBe(1));
    const gone = homeWith(`${alias("near", near.port)}${alias("web", 1, "near")}`);
    expect(await failureOf("web", { home: gone })).toMatchObject({
      ...{ name: "Fail", message: expect.stringMatching(/^connecting from near to 127.0.0.1 port 1: /) },
    });
    await vi.waitFor(() => expect(near.ended()).toBe(2));
  });

  it("is given up half a minute after a host did not answer, or when the caller stops it", async () => {
    const mute = createServer((socket) => void socket.resume()).listen(0, "127.0.0.1");
    await once(mute, "listening");
    onTestFinished(() => void mute.close());
    const target = `127.0.0.1:${(mute.address() as { port: number }).port}`;
    const stop = new AbortController();
    const stopped = failureOf(target, { home: homeWith(""), signal: stop.signal });
    stop.abort(new Fail("interrupted"));
    expect((await stopped).message).toBe("interrupted");
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const failed = failureOf(target, { home: homeWith("") });
    await vi.advanceTimersByTimeAsync(29_000);
    expect(await Promise.race([failed, turn("waits")])).toBe("waits");
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await failed).message).toBe("127.0.0.1 did not answer within 30 s");
    const soon = failureOf(target, { home: homeWith(""), timeoutMs: 2_000 });
    await vi.advanceTimersByTimeAsync(2_000);
    expect((await soon).message).toBe("127.0.0.1 did not answer within 2 s");
  });
});

describe("a host that was reached", () => {
  const reached = async () => {
    const served = await relay();
    const options = { home: homeWith(""), key: clientKey.private };
    const host = await connect(`u@127.0.0.1:${served.port}`, options);
    onTestFinished(() => host.close());
    return { host, ...served };
  };
  const read = async (stream: NodeJS.ReadableStream) => {
    let text = "";
    for await (const chunk of stream) text += chunk;
    return text;
  };

  it("opens ports and sockets of its own, or says which it could not", async () => {
    const { host } = await reached();
    const path = join(tempDir(), "socket");
    const unix = createServer((socket) => socket.end("from the socket")).listen(path);
    const tcp = createServer((socket) => socket.end("from the port")).listen(0, "127.0.0.1");
    onTestFinished(() => {
      unix.close();
      tcp.close();
    });
    await once(tcp, "listening");
    expect(await read(await host.openStreamLocal(path))).toBe("from the socket");
    const { port } = tcp.address() as { port: number };
    expect(await read(await host.forwardTcp("127.0.0.1", port))).toBe("from the port");
    await expect(host.openStreamLocal("/nowhere/socket")).rejects.toMatchObject({
      ...{ name: "Fail", message: expect.stringMatching(/^opening \/nowhere\/socket on 127.0.0.1: /) },
    });
    await expect(host.forwardTcp("127.0.0.1", 1)).rejects.toMatchObject({
      ...{ name: "Fail", message: expect.stringMatching(/^connecting from 127.0.0.1 to 127.0.0.1 port 1: /) },
    });
  });

  it("does nothing as root before it is known how", async () => {
    const { host, commands } = await reached();
    await expect(host.exec(["true"], { root: true })).rejects.toThrow("root before becomeRoot");
    const options = { mode: 0o600, size: 0, sha256: "", root: true };
    await expect(async () => host.upload(new Uint8Array(), "/nowhere/x", options)).rejects.toThrow(
      "root before becomeRoot",
    );
    expect(commands).toEqual([]);
    const to = join(tempDir(), "own");
    await host.upload(Buffer.from("x"), to, { mode: 0o600, size: 1, sha256: sha256("x") });
    expect(readFileSync(to, "utf8")).toBe("x");
    expect((await host.exec(["cat"], { root: false, stdin: "as before" })).stdout).toBe("as before");
  });
});

describe("the public keys held", () => {
  it("are those that ssh_config names for a target, in any case the default ones", async () => {
    const other = join(tempDir(), "other");
    const { private: text } = ssh2.utils.generateKeyPairSync("ed25519");
    writeFileSync(other, text);
    writeFileSync(`${other}.pub`, `${clientKey.public} note\n`);
    const home = homeWith(`Host web\n  IdentityFile ${other}\n`);
    expect(await publicKeysHeld({ home })).toEqual([ownKey.public]);
    expect(await publicKeysHeld({ home }, "web")).toEqual([clientKey.public]);
  });
});
