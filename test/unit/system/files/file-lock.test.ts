import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, renameSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { claim, hold } from "../../../../src/system/files/file-lock.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** Another process that uses the path until it is killed. */
async function user(path: string): Promise<() => Promise<void>> {
  const child = spawn("flock", ["--shared", "--no-fork", path, "sh", "-c", "echo has it; exec sleep 60"], {
    stdio: "pipe",
  });
  await once(child.stdout, "data");
  return async () => {
    const ended = once(child, "close");
    process.kill(child.pid!, "SIGKILL");
    await ended;
  };
}

describe("something in use", () => {
  it("cannot be claimed, and can when its user has released it", async () => {
    const path = tempDir();
    const first = await claim(path);
    if (typeof first === "string") throw new Error(first);
    expect(await claim(path)).toBe("busy");
    first.release();
    expect(await hold(path)).toBe(true);
    expect(await claim(path)).toBe("busy");
  });

  it("is still in use under another name, and its old name is free", async () => {
    const path = join(tempDir(), "a.new");
    mkdirSync(path);
    await hold(path);
    renameSync(path, path.slice(0, -".new".length));
    expect(await claim(path.slice(0, -".new".length))).toBe("busy");
    mkdirSync(path);
    expect(await claim(path)).toMatchObject({ release: expect.any(Function) });
  });

  it("by another process is busy, and several may use it", async () => {
    const path = tempDir();
    const end = await user(path);
    expect(await claim(path)).toBe("busy");
    expect(await hold(path)).toBe(true);
    await end();
    expect(await claim(path)).toBe("busy");
  });

  it("is marked with the time of its use", async () => {
    const path = tempDir();
    utimesSync(path, 1, 1);
    const before = Date.now();
    await hold(path);
    expect(statSync(path).mtimeMs).toBeGreaterThanOrEqual(before - 1_000);
  });

  it("that is not there is neither held nor claimed", async () => {
    const path = join(tempDir(), "nothing");
    expect([await hold(path), await claim(path)]).toEqual([false, "gone"]);
    expect(await hold(join(path, "below"))).toBe(false);
  });

  it("that is taken away while it is waited for is gone", async () => {
    const path = join(tempDir(), "entry");
    mkdirSync(path);
    const mine = await claim(path);
    if (typeof mine === "string") throw new Error(mine);
    const waiting = hold(path);
    // As a clearing does: what waits has opened it by then, or finds nothing.
    await new Promise((resolve) => setTimeout(resolve, 200));
    renameSync(path, `${path}.gone-00`);
    mine.release();
    expect(await waiting).toBe(false);
  });
});
