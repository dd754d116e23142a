import { spawn } from "node:child_process";
import { describe, expect, it, onTestFinished } from "vitest";
import { endOf } from "../../../../src/system/run/ended.ts";

/** A kill that is not sent stands for one that a process in uninterruptible sleep does not take. */
function sleeping() {
  const child = spawn("sleep", ["60"]);
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

describe("endOf", () => {
  it("gives up on a child that does not end after its kill, and says so", async () => {
    const child = sleeping();
    const ending = endOf(child, "blkid /dev/vda", 100);
    ending.killed();
    await expect(ending.end).rejects.toMatchObject({
      message: "blkid /dev/vda was killed and has not ended within 0 s",
      hint: expect.stringContaining("does not answer"),
    });
    // Its pipes hold this process no longer either.
    expect(child.stdout?.destroyed).toBe(true);
  });

  it("gives the end of a child that takes its kill, and waits for one that was not killed", async () => {
    const killed = sleeping();
    const ending = endOf(killed, "sleep", 10_000);
    ending.killed();
    killed.kill("SIGKILL");
    expect(await ending.end).toEqual([null, "SIGKILL"]);
    ending.done();
    const child = spawn("sh", ["-c", "sleep 0.3; exit 3"]);
    expect(await endOf(child, "sh", 50).end).toEqual([3, null]);
  });
});
