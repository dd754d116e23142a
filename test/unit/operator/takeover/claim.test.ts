import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it, onTestFinished } from "vitest";
import { claim } from "../../../../src/operator/takeover/claim.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { exitCodes } from "../../../../src/util/fail.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { shellLine } from "../../../../src/util/shell-word.ts";
import { localHost } from "../../../helpers/fakes/local-host.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const quiet = { log: silentLog, signal: new AbortController().signal };

/** A connection: a process with the name of an SSH server's, which runs one command after the other and ends with it. */
async function connection(name = "sshd-session", shell: readonly string[] = ["sh"]) {
  const program = join(tempDir(), name);
  copyFileSync("/bin/dash", program);
  const server = spawn(program, ["-s"], { stdio: ["pipe", "pipe", "inherit"] });
  onTestFinished(() => void server.kill("SIGKILL"));
  const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
  const host: Host = {
    ...localHost().host,
    exec: async ([first, ...argv]) => {
      expect(first).toBe("sh");
      server.stdin.write(`${shellLine([...shell, ...argv])}; echo "= $?"\n`);
      let stdout = "";
      for (;;) {
        const { value, done } = await lines.next();
        if (done === true) throw new Error("the connection has ended");
        const code = /^= (\d+)$/.exec(value)?.[1];
        if (code !== undefined) return { code: Number(code), stdout, stderr: "" };
        stdout += `${value}\n`;
      }
    },
  };
  const end = async () => {
    server.kill("SIGKILL");
    await once(server, "close");
  };
  return { host, end, pid: server.pid };
}

describe("a claim (F02, F41)", () => {
  for (const shell of [["dash"], ["bash", "--norc", "--posix"], ["busybox", "sh"]])
    it(`lets one deploy have a host, and the next one when the first one's connection is gone, in ${shell.join(" ")}`, async () => {
      const file = join(tempDir(), "run", "lock");
      const first = await connection("sshd", shell);
      const second = await connection("sshd-session", shell);
      await claim(first.host, quiet, file);
      await expect(claim(second.host, quiet, file)).rejects.toMatchObject({
        message: "another deploy of local is under way; nothing was changed",
        exitCode: exitCodes.refused,
        hint: expect.stringContaining(`kill ${first.pid}`),
      });
      // Its own once more is no other one.
      await claim(first.host, quiet, file);
      await first.end();
      await claim(second.host, quiet, file);
    });

  it.each([
    ["of another boot", (pid: number) => `${pid} 1 00000000-0000-0000-0000-000000000000\n`],
    ["cut off", () => ""],
    ["of no process", () => "none\n"],
  ])("passes over a claim that is %s", async (_what, text) => {
    const file = join(tempDir(), "lock");
    const { host } = await connection();
    writeFileSync(file, text(process.pid));
    await claim(host, quiet, file);
    const other = await connection();
    await expect(claim(other.host, quiet, file)).rejects.toThrow(/another deploy/);
  });

  it("warns, and lets a deploy go on, where the way in is of no known server", async () => {
    const file = join(tempDir(), "lock");
    const warned: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warned.push(message) };
    await claim((await connection("telnetd")).host, { ...quiet, log }, file);
    expect(existsSync(file)).toBe(false);
    expect(warned).toEqual([expect.stringContaining("a second deploy at the same time is not kept out")]);
  });

  it.each([
    ["with flock", process.env.PATH ?? ""],
    ["without flock", undefined],
  ])(
    "is one deploy's when two look at a stale claim at the same moment, %s, over and over",
    async (_how, path) => {
      const file = join(tempDir(), "lock");
      const env = path === undefined ? ["env", `PATH=${withoutFlock()}`] : [];
      const two = [
        await connection("sshd", [...env, "dash"]),
        await connection("sshd-session", [...env, "dash"]),
      ];
      const times = path === undefined ? 8 : 100;
      for (let time = 0; time < times; time += 1) {
        writeFileSync(file, `${process.pid} 1 00000000-0000-0000-0000-000000000000\n`);
        const ends = await Promise.allSettled(two.map(({ host }) => claim(host, quiet, file)));
        expect(ends.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
      }
    },
    120_000,
  );
});

/** A PATH with all that the script needs but flock(1). */
function withoutFlock(): string {
  const dir = tempDir();
  for (const name of ["dash", "cat", "mkdir", "ln", "rm", "sleep"])
    symlinkSync(`/bin/${name}`, join(dir, name));
  return dir;
}
