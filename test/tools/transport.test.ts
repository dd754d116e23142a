import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { connect, type Host, publicKeysHeld } from "../../src/transport/host.ts";
import { sha256 } from "../../src/util/digest.ts";
import { Fail } from "../../src/util/fail.ts";
import { Secret } from "../../src/util/secret.ts";
import { startSshd } from "../helpers/labs/sshd.ts";
import { tempDir } from "../helpers/temp-dir.ts";

async function withHost(): Promise<{
  host: Host;
  home: string;
  port: number;
  hostKey: string;
  stop: () => void;
}> {
  const home = tempDir();
  const sshd = await startSshd(home);
  const host = await connect(`root@127.0.0.1:${sshd.port}`, { home });
  onTestFinished(() => host.close());
  return { host, home, ...sshd };
}

describe("a host with OpenSSH", () => {
  it("runs commands with their arguments as they are, stdin, exit codes and both outputs", async () => {
    const { host } = await withHost();
    const words = ["a b", "", "$HOME", "`id`", "'\"\\", "*", "-n", "~", "a=b", "é\nü", "!x", "#"];
    const echoed = await host.exec(["printf", "%s\\0", ...words]);
    expect(echoed.stdout.split("\0").slice(0, -1)).toEqual(words);
    expect((await host.exec(["cat"], { stdin: "line\n" })).stdout).toBe("line\n");
    const lines: string[] = [];
    const script = "echo out; echo err >&2; exit 7";
    const both = await host.exec(["sh", "-c", script], { accept: [7], onLine: (line) => lines.push(line) });
    expect(both).toEqual({ code: 7, stdout: "out\n", stderr: "err\n" });
    expect(lines.sort()).toEqual(["err", "out"]);
    await expect(host.exec(["sh", "-c", "echo why >&2; exit 3"])).rejects.toThrow(/exited 3\nwhy/);
    await expect(host.exec(["sh", "-c", "kill -9 $$"])).rejects.toThrow(/killed by (SIG)?KILL/);
    expect(await host.becomeRoot({})).toBe("none");
    expect((await host.exec(["id", "-u"], { root: true })).stdout).toBe("0\n");
  });

  it("bounds commands by time, output and an abort", async () => {
    const { host } = await withHost();
    await expect(host.exec(["sleep", "60"], { timeoutMs: 300 })).rejects.toThrow(/did not end within/);
    await expect(host.exec(["cat", "/dev/zero"], { maxBytes: 100_000 })).rejects.toThrow(
      /more than 100000 bytes/,
    );
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Fail("interrupted")), 200);
    await expect(host.exec(["sleep", "60"], { signal: stop.signal })).rejects.toThrow("interrupted");
    expect((await host.exec(["echo", "still here"])).stdout).toBe("still here\n");
  });

  it("takes bytes and files whole, with mode, or keeps nothing", async () => {
    const { host, home } = await withHost();
    await host.becomeRoot({});
    const bytes = Buffer.alloc(5 * 1024 * 1024 + 3, "abc\0\n");
    const options = { mode: 0o640, size: bytes.length, sha256: sha256(bytes), root: true };
    const done: number[] = [];
    await host.upload(bytes, join(home, "a file"), { ...options, onProgress: (sent) => done.push(sent) });
    expect(Buffer.compare(readFileSync(join(home, "a file")), bytes)).toBe(0);
    expect(statSync(join(home, "a file")).mode & 0o7777).toBe(0o640);
    expect(done.at(-1)).toBe(bytes.length);
    await host.upload(join(home, "a file"), join(home, "copy"), { ...options, root: false });
    expect(Buffer.compare(readFileSync(join(home, "copy")), bytes)).toBe(0);
    const [start, size] = [1_000_001, 3_000_000];
    const part = bytes.subarray(start, start + size);
    await host.upload(join(home, "a file"), join(home, "part"), {
      ...{ ...options, root: false, start, size, sha256: sha256(part) },
    });
    expect(Buffer.compare(readFileSync(join(home, "part")), part)).toBe(0);
    const to = (name: string) => join(home, name);
    await expect(host.upload(bytes, to("bad"), { ...options, sha256: sha256("x") })).rejects.toThrow(
      /did not arrive/,
    );
    await expect(host.upload(bytes, to("short"), { ...options, size: 7 })).rejects.toThrow(
      /7 were announced/,
    );
    await expect(host.upload(bytes, to("no/dir"), options)).rejects.toThrow(/cannot create/);
    await expect(host.upload("/nowhere", to("none"), options)).rejects.toThrow(/ENOENT/);
    await sleep(500);
    expect(readdirSync(home).filter((name) => /^(bad|short|none|.*\.part)/.test(name))).toEqual([]);
  });

  it("lets nobody read what is on its way, however open it will be (F28), and keeps nothing of what is cut off (F03)", async () => {
    const { host, home } = await withHost();
    await host.becomeRoot({});
    const bytes = Buffer.alloc(8 * 1024 * 1024, "abc\n");
    const options = { mode: 0o644, size: bytes.length, sha256: sha256(bytes), root: true };
    const modes = new Set<number>();
    const look = () => {
      const part = statSync(join(home, "open.part"), { throwIfNoEntry: false });
      if (part !== undefined) modes.add(part.mode & 0o777);
    };
    await host.upload(bytes, join(home, "open"), { ...options, onProgress: look });
    expect([...modes]).toEqual([0o600]);
    for (const share of [0, 0.25, 0.5, 0.99]) {
      const stop = new AbortController();
      const cut = host.upload(bytes, join(home, "cut"), {
        ...options,
        signal: stop.signal,
        onProgress: (done) => {
          if (done >= share * bytes.length) stop.abort(new Fail("the cable is out"));
        },
      });
      await expect(cut, String(share)).rejects.toThrow("the cable is out");
    }
    await sleep(500);
    expect(readdirSync(home).filter((name) => name.startsWith("cut"))).toEqual([]);
  });

  it("opens sockets and ports behind it", async () => {
    const { host, home } = await withHost();
    const path = join(home, "socket");
    const unix = createServer((socket) => socket.end("hello from the socket")).listen(path);
    const tcp = createServer((socket) => socket.end("hello from the port")).listen(0, "127.0.0.1");
    onTestFinished(() => {
      unix.close();
      tcp.close();
    });
    await once(tcp, "listening");
    const read = async (stream: NodeJS.ReadableStream) => {
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks).toString();
    };
    expect(await read(await host.openStreamLocal(path))).toBe("hello from the socket");
    const { port } = tcp.address() as { port: number };
    expect(await read(await host.forwardTcp("127.0.0.1", port))).toBe("hello from the port");
    await expect(host.openStreamLocal("/nowhere/socket")).rejects.toBeInstanceOf(Fail);
    await expect(host.forwardTcp("127.0.0.1", 1)).rejects.toBeInstanceOf(Fail);
  });

  it("is reached through others, by the alias that ssh_config gives it", async () => {
    const { home, port, hostKey } = await withHost();
    const included = join(home, ".ssh", "conf.d");
    mkdirSync(included);
    writeFileSync(join(home, ".ssh", "config"), "Include conf.d/*\nHost *\n  User nobody\n");
    const host = (name: string, jump?: string) =>
      `Host ${name}\n  HostName 127.0.0.1\n  Port ${port}\n  User root\n${jump === undefined ? "" : `  ProxyJump ${jump}\n`}`;
    writeFileSync(
      join(included, "web"),
      `${host("near")}${host("mid", "near")}${host("far", "mid")}${host("list", "near,mid")}${host("loop", "loop")}`,
    );
    const far = await connect("far", { home, pins: [hostKey] });
    onTestFinished(() => far.close());
    expect((await far.exec(["echo", "through two"])).stdout).toBe("through two\n");
    (await connect("list", { home })).close();
    await expect(connect("loop", { home })).rejects.toThrow(/circle/);
    await expect(connect(`127.0.0.1:${port}`, { home })).rejects.toThrow(/lets nobody in with none/);
  });

  it("is entered by the agent's keys alone, and by a key in memory", async () => {
    const { home, port, hostKey } = await withHost();
    const key = readFileSync(join(home, ".ssh", "id_ed25519"), "utf8");
    const socket = join(home, "agent");
    const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    onTestFinished(() => void agent.kill());
    for (let attempt = 0; !existsSync(socket) && attempt < 50; attempt += 1) await sleep(100);
    const env = { PATH: "/usr/bin", SSH_AUTH_SOCK: socket };
    execFileSync("ssh-add", ["-q", join(home, ".ssh", "id_ed25519")], { env });
    for (const name of ["id_ed25519", "id_ed25519.pub"])
      renameSync(join(home, ".ssh", name), join(home, name));
    const target = `root@127.0.0.1:${port}`;
    await expect(connect(target, { home })).rejects.toThrow(/none of your keys/);
    // A second key, which the host does not know, is offered first.
    const spare = join(home, "spare");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", spare]);
    const mine = readFileSync(join(home, "id_ed25519.pub"), "utf8").split(" ").slice(0, 2).join(" ");
    for (const how of [
      { agent: socket },
      { agent: socket, keyFiles: [spare] },
      { key, pins: [hostKey] },
      { keyFiles: [spare, join(home, "id_ed25519")] },
    ]) {
      const opened = await connect(target, { home, ...how });
      expect(opened.openedBy).toBe(mine);
      opened.close();
    }
    const held = await publicKeysHeld({ home, agent: socket });
    expect(held).toEqual([
      readFileSync(join(home, "id_ed25519.pub"), "utf8").split(" ").slice(0, 2).join(" "),
    ]);
    expect(await publicKeysHeld({ home })).toEqual([]);
  });

  it("is entered by an encrypted key whose passphrase is given", async () => {
    const { home, port } = await withHost();
    execFileSync("ssh-keygen", [
      "-q",
      "-p",
      "-P",
      "",
      "-N",
      "open it",
      "-f",
      join(home, ".ssh", "id_ed25519"),
    ]);
    const target = `root@127.0.0.1:${port}`;
    await expect(connect(target, { home })).rejects.toThrow(/not tried: .*id_ed25519/);
    const ask = (text: string) => async () => new Secret("answer", Buffer.from(text));
    await expect(connect(target, { home, askPassphrase: ask("wrong") })).rejects.toThrow(/does not open it/);
    (await connect(target, { home, askPassphrase: ask("open it") })).close();
    expect((await publicKeysHeld({ home })).length).toBe(1);
  });

  it("fails plainly when it goes away, and where nobody answers", async () => {
    const { host, home, port, stop, hostKey } = await withHost();
    const pid = (await host.exec(["sh", "-c", "echo $PPID"])).stdout.trim();
    const running = host.exec(["sleep", "60"]);
    const failed = expect(running).rejects.toThrow(/connection .* was lost/);
    await sleep(200);
    process.kill(Number(pid), "SIGKILL");
    await failed;
    expect(host.closed).toBe(true);
    await expect(host.exec(["true"])).rejects.toThrow(/was lost/);
    stop();
    await sleep(500);
    const again = connect(`root@127.0.0.1:${port}`, { home, timeoutMs: 2_000 });
    await expect(again).rejects.toMatchObject({ name: "Fail", hint: expect.stringMatching(/machine up/) });
    const silent = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void silent.close());
    await once(silent, "listening");
    const mute = `root@127.0.0.1:${(silent.address() as { port: number }).port}`;
    await expect(connect(mute, { home, pins: [hostKey], timeoutMs: 500 })).rejects.toThrow(
      /did not answer within/,
    );
  });
});
