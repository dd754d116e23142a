import { statSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { FromOperator } from "../../../src/schema/base/journal.ts";
import { serve } from "../../../src/target/socket.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

/** A served socket whose messages are kept, and a way to talk to it. */
async function served(path = join(tempDir(), "sock")) {
  const got: FromOperator[] = [];
  const state = { attached: 0 };
  const server = await serve(path, {
    onMessage: (message, send) => {
      got.push(message);
      send({ type: "refused", message: `got ${message.type}` });
    },
    onAttach: () => {
      state.attached += 1;
      return () => {
        state.attached -= 1;
      };
    },
  });
  onTestFinished(() => void server.close());
  return { path, got, state };
}

async function talk(path: string): Promise<{ socket: Socket; answers: () => string[] }> {
  const socket = connect(path);
  onTestFinished(() => void socket.destroy());
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("utf8");
  });
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("connect", resolve));
  const answers = () =>
    text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => (JSON.parse(line) as { message: string }).message);
  return { socket, answers };
}

async function until(holds: () => boolean): Promise<void> {
  for (let time = 0; time < 200 && !holds(); time++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(holds()).toBe(true);
}

describe("serve", () => {
  it("is open to its owner alone, and takes the place of a socket left over", async () => {
    const path = join(tempDir(), "sock");
    writeFileSync(path, "left over");
    await served(path);
    expect(statSync(path).isSocket()).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("reads messages however they are cut", async () => {
    const { path, got } = await served();
    const { socket, answers } = await talk(path);
    for (const piece of ['{"type":"ab', 'ort"}\n{"type":"follow","af', 'ter":3}\n{"type":"restart"}\n']) {
      socket.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await until(() => got.length === 3);
    expect(got).toEqual([{ type: "abort" }, { type: "follow", after: 3 }, { type: "restart" }]);
    await until(() => answers().length === 3);
    expect(answers()).toEqual(["got abort", "got follow", "got restart"]);
  });

  it.each([
    "{",
    "null",
    '{"type":"run","argv":["sh"]}',
    '{"type":"abort","extra":1}',
    '{"type":"go","planDigest":"x"}',
    '{"type":"follow","after":-1}',
  ])("refuses %s and stays open", async (line) => {
    const { path, got } = await served();
    const { socket, answers } = await talk(path);
    socket.write(`${line}\n{"type":"abort"}\n`);
    await until(() => answers().length === 2);
    expect(answers()).toEqual(["not a message of this protocol", "got abort"]);
    expect(got).toEqual([{ type: "abort" }]);
  });

  it("ends a conversation whose line has no end", async () => {
    const { path, got } = await served();
    const { socket } = await talk(path);
    let closed = false;
    socket.on("close", () => {
      closed = true;
    });
    socket.write("x".repeat(9 * 1024 * 1024));
    await until(() => closed);
    expect(got).toEqual([]);
  });

  it("notices who leaves", async () => {
    const { path, state } = await served();
    const { socket } = await talk(path);
    await until(() => state.attached === 1);
    socket.destroy();
    await until(() => state.attached === 0);
  });
});
