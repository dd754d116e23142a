import { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { openQmp } from "../../../../src/vm/machine/qmp.ts";

const greeting = { QMP: { version: { qemu: { major: 7, minor: 2, micro: 0 } }, capabilities: [] } };

interface Command {
  readonly execute: string;
  readonly id: string;
  readonly arguments?: unknown;
}

/** QEMU's end of the socket: says the greeting, then answers each command with what `answer` gives. */
function fakeQemu(answer: (command: Command) => readonly unknown[], greet: readonly unknown[] = [greeting]) {
  const commands: Command[] = [];
  const say = (message: unknown) => socket.push(`${JSON.stringify(message)}\r\n`);
  const socket = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      for (const line of chunk.toString().trim().split("\n")) {
        const command = JSON.parse(line) as Command;
        commands.push(command);
        const answers =
          command.execute === "qmp_capabilities" ? [{ return: {}, id: command.id }] : answer(command);
        for (const message of answers) say(message);
      }
      done();
    },
  });
  for (const message of greet) say(message);
  return { socket, commands, say };
}

describe("openQmp", () => {
  it("greets, leaves negotiation and gives a command's return value", async () => {
    const { socket, commands } = fakeQemu(({ id }) => [{ return: "Slirp", id }]);
    const qmp = await openQmp(socket);
    expect(await qmp.execute("human-monitor-command", { "command-line": "info usernet" })).toBe("Slirp");
    expect(commands).toEqual([
      { execute: "qmp_capabilities", id: "1" },
      { execute: "human-monitor-command", id: "2", arguments: { "command-line": "info usernet" } },
    ]);
  });

  it("gives an error of QEMU as a failure with its words", async () => {
    const desc = "Device 'net9' not found";
    const { socket } = fakeQemu(({ id }) => [{ error: { class: "DeviceNotFound", desc }, id }]);
    const qmp = await openQmp(socket);
    await expect(qmp.execute("set_link", { name: "net9", up: false })).rejects.toThrow(desc);
  });

  it("keeps events apart from answers", async () => {
    const { socket } = fakeQemu(({ id }) => [
      { event: "RESET", data: {} },
      { return: {}, id },
    ]);
    const qmp = await openQmp(socket);
    expect(await qmp.execute("system_reset")).toEqual({});
    expect(qmp.events).toEqual(["RESET"]);
  });

  it("puts together a message that comes in pieces", async () => {
    const { socket } = fakeQemu(() => []);
    const qmp = await openQmp(socket);
    const reply = qmp.execute("query-status");
    const text = `${JSON.stringify({ return: { status: "running" }, id: "2" })}\n`;
    socket.push(text.slice(0, 11));
    socket.push(text.slice(11));
    expect(await reply).toEqual({ status: "running" });
  });

  it("fails a command that is not answered within its bound", async () => {
    const { socket } = fakeQemu(() => []);
    const qmp = await openQmp(socket);
    await expect(qmp.execute("quit", {}, 20)).rejects.toThrow("QEMU did not answer quit within 0.02 s");
  });

  it("fails when nobody greets", async () => {
    const { socket } = fakeQemu(() => [], []);
    await expect(openQmp(socket, 20)).rejects.toThrow("with its greeting within");
  });

  it("fails what is under way, and all that follows, when QEMU ends", async () => {
    const { socket } = fakeQemu(() => []);
    const qmp = await openQmp(socket);
    const reply = qmp.execute("savevm");
    socket.push(null);
    await expect(reply).rejects.toThrow("QEMU closed its monitor");
    await expect(qmp.execute("cont")).rejects.toThrow("QEMU closed its monitor");
  });
});
