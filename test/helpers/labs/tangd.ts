import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

const programs = "/usr/libexec";

export interface Tangd {
  /** Without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** Of its signing key, as `tang-show-keys` prints it. */
  readonly thumbprint: string;
  /** Requests, without those for its keys: "POST /rec/…". */
  readonly helped: string[];
  /** While it is false, connections are cut. */
  answers: boolean;
  stop(): void;
}

/** Debian's tangd on a loopback port, with keys of its own in `keys`, started for each connection as systemd's socket does it. */
export async function startTangd(keys: string): Promise<Tangd> {
  mkdirSync(keys, { recursive: true });
  execFileSync(`${programs}/tangd-keygen`, [keys]);
  const helped: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    if (!tangd.answers) return void socket.on("error", () => {}).destroy();
    open.add(socket);
    const child = spawn(`${programs}/tangd`, [keys], { stdio: ["pipe", "pipe", "ignore"] });
    socket.once("data", (bytes: Buffer) => {
      const [line = ""] = bytes.toString("latin1").split(" HTTP/");
      if (line.startsWith("POST")) helped.push(line);
    });
    socket.pipe(child.stdin).on("error", () => {});
    child.stdout.pipe(socket);
    socket
      .on("error", () => {})
      .on("close", () => {
        open.delete(socket);
        child.kill();
      });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const stop = () => {
    for (const socket of open) socket.destroy();
    server.close();
  };
  onTestFinished(stop);
  const tangd: Tangd = {
    ...{ url: `http://127.0.0.1:${port}`, port, thumbprint: thumbprintOf(keys), helped },
    ...{ answers: true, stop },
  };
  return tangd;
}

function thumbprintOf(keys: string): string {
  const files = execFileSync("sh", ["-c", 'grep -l ES512 "$1"/*.jwk', "sh", keys]).toString().trim();
  const input = readFileSync(files);
  return execFileSync("jose", ["jwk", "thp", "-i-", "-a", "S256"], { input }).toString().trim();
}
