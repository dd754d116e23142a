import type { Host } from "../../../src/transport/host.ts";
import { connect } from "../../../src/transport/host.ts";
import { tempDir } from "../temp-dir.ts";
import { clientKey, serverKey, serveSsh } from "./ssh-server.ts";

/** A real SSH server that asks for passphrases as cryptroot-unlock does; `ends`: whether with the last of them the connection is gone, or when more is asked. */
export async function initramfs(volumes: Readonly<Record<string, string>>, ends?: "then" | "later") {
  const locked = Object.keys(volumes);
  const got: string[] = [];
  const served = await serveSsh((accept) => {
    const channel = accept();
    const [volume] = locked;
    const end = (code: number, said = "") => {
      channel.stderr.write(said);
      channel.exit(code);
      channel.end();
    };
    if (volume === undefined && ends === "later") return served.connections.forEach((one) => void one.end());
    if (volume === undefined) return end(0);
    channel.write(`Please unlock disk ${volume}\n`);
    let text = "";
    channel.on("data", (bytes: Buffer) => {
      text += bytes.toString();
    });
    channel.on("end", () => {
      if (channel.writableEnded) return;
      got.push(text);
      if (text !== volumes[volume])
        return end(1, "cryptsetup: cryptsetup failed, bad password or options?\n");
      locked.shift();
      if (ends === "then" && locked.length === 0)
        for (const connection of served.connections) connection.end();
      else end(0, `cryptsetup: ${volume} set up successfully\n`);
    });
  });
  const home = tempDir();
  const reach = (options: Partial<Parameters<typeof connect>[1]> = {}): Promise<Host> =>
    connect(`127.0.0.1:${served.port}`, {
      ...{ home, key: clientKey.private, pins: [serverKey.public], timeoutMs: 5_000 },
      ...options,
    });
  /** Volumes that wait, what was said to it, and the commands that were asked for. */
  return { locked, got, reach, commands: served.commands, port: served.port, pin: serverKey.public };
}
