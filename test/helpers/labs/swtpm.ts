import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";
import type { SendToTpm } from "../../../src/secrets/tpm2.ts";

const flush = 0x165;

/** A TPM 2.0 in software whose state is in `directory`, and how it is spoken to; `forget` is what closing /dev/tpmrm0 does. */
export async function startSwtpm(
  directory: string,
): Promise<{ send: SendToTpm; forget(): Promise<void>; path: string }> {
  const path = join(directory, "tpm.sock");
  const child = spawn(
    "swtpm",
    [
      ...["socket", "--tpm2", "--tpmstate", `dir=${directory}`, "--flags", "not-need-init,startup-clear"],
      ...["--server", `type=unixio,path=${path}`],
    ],
    { stdio: "ignore" },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  for (let tries = 0; !existsSync(path); tries += 1) {
    if (tries > 200) throw new Error("swtpm did not start");
    await sleep(50);
  }
  const socket = connect(path);
  await once(socket, "connect");
  onTestFinished(() => void socket.destroy());
  const send: SendToTpm = async (command) => {
    socket.write(command);
    const [answer] = (await once(socket, "data", { signal: AbortSignal.timeout(60_000) })) as [Buffer];
    return answer;
  };
  const forget = async () => {
    for (const handle of [0x80000000, 0x80000001, 0x80000002]) {
      const command = Buffer.alloc(14);
      command.writeUInt16BE(0x8001);
      for (const [at, value] of [
        [2, 14],
        [6, flush],
        [10, handle],
      ] as const)
        command.writeUInt32BE(value, at);
      await send(command);
    }
  };
  return { send, forget, path };
}
