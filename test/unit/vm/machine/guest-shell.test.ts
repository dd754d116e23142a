import { execFileSync } from "node:child_process";
import { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { bashWord, openGuestShell, shellCredentials } from "../../../../src/vm/machine/guest-shell.ts";

const boot = "01234567-89ab-cdef-0123-456789abcdef";
const other = "fedcba98-89ab-cdef-0123-456789abcdef";

function shellWith(answer: (line: string, socket: Duplex) => void = () => {}) {
  const socket = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      answer(chunk.toString("latin1"), socket);
      done();
    },
  });
  const shell = openGuestShell("one", 1);
  shell.attach(socket);
  return { shell, socket };
}

describe("a guest's shell", () => {
  it("gives back code and both streams, byte for byte, however they arrive", async () => {
    const { shell, socket } = shellWith((line) => {
      const id = line.split(" ")[0];
      for (const piece of [`result ${id} 7 4 `, "3\n", "a\0\n", "\xffno", "!"])
        socket.push(Buffer.from(piece, "latin1"));
    });
    socket.push(`noise\nhello ${boot}\n`);
    expect(await shell.ready(1_000)).toBe(boot);
    const { code, stdout, stderr } = await shell.run("true", { timeoutMs: 1_000 });
    expect([code, stdout.toString("latin1"), stderr.toString("latin1")]).toEqual([7, "a\0\n\xff", "no!"]);
  });

  it("runs one command after another", async () => {
    const seen: string[] = [];
    const { shell, socket } = shellWith((line) => {
      seen.push(line);
      if (!line.startsWith("1 ")) socket.push(`result ${line.split(" ")[0]} 0 0 0\n`);
    });
    socket.push(`hello ${boot}\n`);
    await shell.ready(1_000);
    const first = shell.run("one", { timeoutMs: 5_000 });
    const second = shell.run("two", { timeoutMs: 5_000, stdin: Buffer.from("in") });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(seen).toEqual(["1 5 0 $'one'\n"]);
    socket.push("result 1 0 0 0\n");
    await Promise.all([first, second]);
    expect(seen.slice(1)).toEqual(["2 5 2 $'two'\n", "in"]);
  });

  it("waits for another boot than the one named, and refuses commands until there is one", async () => {
    const { shell, socket } = shellWith();
    await expect(shell.run("true", { timeoutMs: 10 })).rejects.toThrow("one has no shell yet");
    socket.push(`hello ${boot}\n`);
    const next = shell.ready(5_000, boot);
    setTimeout(() => socket.push(`hello ${other}\n`), 20);
    expect(await next).toBe(other);
    await expect(shell.ready(20, other)).rejects.toThrow("one did not come up within 0 s");
  });

  it("fails a command at once when the guest restarts, is restored or is gone", async () => {
    for (const [end, message] of [
      ["lost", "one restarted while a command ran"],
      ["restored", "one was restored while a command ran"],
      ["close", "the plug was pulled"],
    ] as const) {
      const { shell, socket } = shellWith();
      socket.push(`hello ${boot}\n`);
      await shell.ready(1_000);
      const running = shell.run("sleep 60", { timeoutMs: 60_000 });
      setTimeout(() => (end === "close" ? shell.close(message) : shell[end](boot)), 10);
      await expect(running).rejects.toThrow(message);
    }
  });

  it("forgets half an answer when the guest restarts in the middle of it", async () => {
    const { shell, socket } = shellWith();
    socket.push(`hello ${boot}\n`);
    await shell.ready(1_000);
    const running = shell.run("cat", { timeoutMs: 60_000 });
    await new Promise((resolve) => setTimeout(resolve, 10));
    socket.push("result 1 0 1000 0\nhalf of it");
    await new Promise((resolve) => setTimeout(resolve, 10));
    shell.lost();
    await expect(running).rejects.toThrow("restarted");
    socket.push(`hello ${other}\n`);
    expect(await shell.ready(1_000)).toBe(other);
  });

  it("hears a system that was started by kexec in the middle of an answer", async () => {
    const { shell, socket } = shellWith();
    socket.push(`hello ${boot}\n`);
    await shell.ready(1_000);
    const running = shell.run("kexec", { timeoutMs: 60_000 });
    setTimeout(() => socket.push("result 1 0 1000 0\nhalf of it"), 10);
    setTimeout(() => socket.push(`hello ${other}\n`), 30);
    await expect(running).rejects.toThrow("restarted");
    expect(await shell.ready(1_000, boot)).toBe(other);
  });

  it("refuses output that nobody can hold", async () => {
    const { shell, socket } = shellWith((line) =>
      socket.push(`result ${line.split(" ")[0]} 0 999999999999 0\n`),
    );
    socket.push(`hello ${boot}\n`);
    await shell.ready(1_000);
    const { code, stderr } = await shell.run("yes", { timeoutMs: 1_000 });
    expect([code, stderr.toString()]).toEqual([255, "999999999999 bytes were printed"]);
  });
});

describe("bashWord", () => {
  it("makes one line that bash reads back as it was", () => {
    for (const text of ["a b", "it's", "a\\nb", 'one\ntwo\r\n\t$HOME `x` "y" é\x01\x7f', "'\\''", ""]) {
      const line = bashWord(text);
      expect(line).not.toContain("\n");
      expect(
        execFileSync("bash", ["-c", `read -r line; eval "x=$line"; printf %s "$x"`], {
          input: `${line}\n`,
        }).toString(),
      ).toBe(text);
    }
  });

  it("refuses NUL, which bash cannot hold", () => {
    expect(() => bashWord("a\0b")).toThrow("a command cannot hold NUL");
  });
});

describe("shellCredentials", () => {
  it("gives systemd a unit that runs the loop, and a reason to start it", () => {
    const texts = shellCredentials().map((text) => {
      const [, name, value] = text.match(/^io\.systemd\.credential\.binary:([^=]+)=(.*)$/)!;
      return [name, Buffer.from(value!, "base64").toString()] as const;
    });
    expect(texts.map(([name]) => name)).toEqual([
      "systemd.extra-unit.imgbuild-shell.service",
      "systemd.unit-dropin.sysinit.target",
    ]);
    const [[, unit], [, dropIn]] = texts as unknown as [[string, string], [string, string]];
    expect(dropIn).toContain("Wants=imgbuild-shell.service");
    const exec = unit.match(/^ExecStart=\/bin\/bash -c "(.*)"$/m)![1]!;
    // As systemd.syntax(7) reads it: C escapes, %% and $$.
    const script = exec
      .replaceAll(/\\(.)/g, (_all, one) => (one === "n" ? "\n" : one))
      .replaceAll("$$", "$")
      .replaceAll("%%", "%");
    execFileSync("bash", ["-n", "-c", script]);
    expect(script).toContain("printf 'hello %s\\n' \"$boot\"");
  });
});
