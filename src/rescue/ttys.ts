import { chmodSync, constants, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { ReadStream } from "node:tty";
import { run } from "../system/run/run.ts";
import type { Consoles, Terminal } from "./consoles.ts";

const sttyMs = 10_000;
/** Bytes that a client over SSH knows: what is typed next is not shown; is shown. */
const echoOff = "\x0e";
const echoOn = "\x0f";

/** Opens every console of the kernel, a screen and serial lines; those that are not there, or answer with errors, are left out. */
export async function openConsoles(
  consoles: Consoles,
  active = "/sys/class/tty/console/active",
): Promise<void> {
  for (const name of readFileSync(active, "utf8")
    .split(/\s+/)
    .filter((one) => one !== "")) {
    const terminal = await openTty(`/dev/${name}`).catch(() => undefined);
    if (terminal !== undefined) consoles.add(terminal);
  }
}

async function openTty(device: string): Promise<Terminal> {
  // A session's leader would get the terminal as its own, and hang it up when it ends: so the shell stays, and stty is its child.
  const stty = (...words: string[]) =>
    run(["sh", "-c", 'stty "$@"; exit $?', "sh", "--file", device, ...words], { timeoutMs: sttyMs });
  // Lines are edited by the kernel, and output does not wait for a cable that is not there.
  await stty("sane", "-crtscts", "clocal", "-ixon");
  const { O_RDWR, O_NOCTTY, O_NONBLOCK } = constants;
  const descriptor = openSync(device, O_RDWR | O_NOCTTY | O_NONBLOCK);
  const input = new ReadStream(descriptor);
  input.on("error", () => {});
  return {
    write: (text) => writeAll(descriptor, text.replaceAll("\n", "\r\n")),
    onLine: (listener) => void createInterface({ input, terminal: false }).on("line", listener),
    // A terminal whose echo cannot be switched shows what is typed: whoever sits there sees it.
    echo: async (on) => void (await stty(on ? "echo" : "-echo").catch(() => {})),
  };
}

/** What a terminal does not take is lost, as a kernel's message is. */
function writeAll(descriptor: number, text: string): void {
  let rest = Buffer.from(text);
  for (let tries = 0; rest.length > 0 && tries < 1_000; tries += 1)
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
}

/** For logins over SSH, which are root's: `imgbuild-rescue` connects to it. */
export function serveConsoles(path: string, consoles: Consoles): void {
  rmSync(path, { force: true });
  createServer((socket) => {
    const leave = consoles.add(terminalOf(socket));
    socket.on("close", leave).on("error", leave);
  }).listen(path, () => chmodSync(path, 0o600));
}

function terminalOf(socket: Socket): Terminal {
  return {
    write: (text) => void socket.write(text),
    onLine: (listener) => void createInterface({ input: socket, terminal: false }).on("line", listener),
    echo: async (on) => void socket.write(on ? echoOn : echoOff),
  };
}
