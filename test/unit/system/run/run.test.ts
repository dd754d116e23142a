import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run, showArgv } from "../../../../src/system/run/run.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const sh = (script: string, ...args: string[]) => ["sh", "-c", script, "sh", ...args];

async function failure(work: Promise<unknown>): Promise<Fail> {
  const error = await work.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Fail);
  return error as Fail;
}

/** Whether the process still runs; one that is dead and not yet waited for does not. */
function runs(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function isGone(pid: number): Promise<boolean> {
  for (let time = 0; time < 100 && runs(pid); time++) await new Promise((resolve) => setTimeout(resolve, 20));
  return !runs(pid);
}

/** Starts `sleep` in the background, writes its id to a file and waits for it. */
const withChild = (file: string) => sh('sleep 60 & echo $! >"$1"; wait', file);

describe("run", () => {
  it("gives code, stdout and stderr, and passes words as they are", async () => {
    const word = "a b;$(echo no)'\"\n*";
    expect(await run(sh('printf %s "$1"; printf err >&2', word))).toEqual({
      code: 0,
      stdout: word,
      bytes: Buffer.from(word),
      stderr: "err",
    });
  });

  it("gives the child stdin, a directory, and an environment that is not this process's", async () => {
    process.env.IMGBUILD_TEST_TOKEN = "visible";
    const dir = tempDir();
    const { stdout } = await run(sh("cat; pwd; env"), { stdin: "in\n", cwd: dir });
    delete process.env.IMGBUILD_TEST_TOKEN;
    expect(stdout).toContain(`in\n${dir}\n`);
    expect(stdout).toContain("LC_ALL=C.UTF-8");
    expect(stdout).not.toContain("visible");
    expect((await run(sh('echo "$A"'), { env: { A: "own", PATH: "/usr/bin:/bin" } })).stdout).toBe("own\n");
  });

  it("does not mind a child that reads nothing of a long stdin", async () => {
    expect((await run(["true"], { stdin: Buffer.alloc(4 * 1024 * 1024) })).code).toBe(0);
  });

  it("tells a failure by argv, exit code and the end of stderr, with the hint", async () => {
    const script = "seq 1 5000 >&2; echo why >&2; exit 3";
    const fail = await failure(run(sh(script), { hint: "do that" }));
    expect(fail.message).toMatch(/^sh -c ".*" sh exited 3\n/);
    expect(fail.message).toMatch(/5000\nwhy$/);
    expect(fail.message.length).toBeLessThan(2_500);
    expect(fail.hint).toBe("do that");
    expect((await failure(run(sh("exit 1"), { shown: ["mkfs", "/dev/x"] }))).message).toBe(
      "mkfs /dev/x exited 1",
    );
  });

  it("accepts the exit codes that are named, and only these", async () => {
    expect((await run(sh("exit 2"), { accept: [0, 2] })).code).toBe(2);
    await failure(run(sh("exit 0"), { accept: [2] }));
  });

  it("tells a program that is not there, and one killed by a signal", async () => {
    const fail = await failure(run(["imgbuild-no-such-program"]));
    expect(fail.message).toBe("program not found: imgbuild-no-such-program");
    expect(fail.hint).toContain("imgbuild doctor");
    expect((await failure(run(sh("kill -9 $$")))).message).toMatch(/was killed by SIGKILL$/);
  });

  it("kills the whole group when its time is over", async () => {
    const file = join(tempDir(), "pid");
    const fail = await failure(run(withChild(file), { timeoutMs: 500 }));
    expect(fail.message).toMatch(/did not end within/);
    expect(await isGone(Number(readFileSync(file, "utf8")))).toBe(true);
  });

  it("kills the whole group on abort, and throws its reason", async () => {
    const file = join(tempDir(), "pid");
    const stop = new AbortController();
    const reason = new Fail("interrupted", { exitCode: 130 });
    setTimeout(() => stop.abort(reason), 300);
    await expect(run(withChild(file), { signal: stop.signal })).rejects.toBe(reason);
    expect(await isGone(Number(readFileSync(file, "utf8")))).toBe(true);
  });

  it("starts nothing when it is aborted already", async () => {
    const file = join(tempDir(), "made");
    const signal = AbortSignal.abort(new Fail("interrupted"));
    await expect(run(["touch", file], { signal })).rejects.toThrow("interrupted");
    expect(() => readFileSync(file)).toThrow();
  });

  it("stops a program that prints without an end", async () => {
    const fail = await failure(run(["cat", "/dev/zero"], { timeoutMs: 15_000 }));
    expect(fail.message).toMatch(/^cat \/dev\/zero printed more than can be held/);
  });

  it("hands over each line as it comes, the last one without its end too", async () => {
    const lines: string[] = [];
    await run(sh("printf 'a\\nb'; sleep 0.05; printf 'c\\n\\nd'"), { onLine: (line) => lines.push(line) });
    expect(lines).toEqual(["a", "bc", "", "d"]);
  });
});

describe("showArgv", () => {
  it("quotes what would be read otherwise", () => {
    expect(showArgv(["mkfs.ext4", "-L", "a b", "", "/dev/vda2"])).toBe('mkfs.ext4 -L "a b" "" /dev/vda2');
  });
});
