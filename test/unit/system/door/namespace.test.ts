import { closeSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { identity, makeNamespace } from "../../../../src/system/door/namespace.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

/** A program that goes by the gate's words, and lays in `proc` what the kernel would show of it. */
function gate(proc: string, script: string): string[] {
  const lay = 'd=$1/$$; mkdir -p $d/ns; echo "the namespace" > $d/ns/user;';
  return ["sh", "-c", `${lay} ${script}`, "sh", proc];
}
const isRunning = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const pidIn = (proc: string) => Number(readdirSync(proc)[0]);

describe("the door's user namespace", () => {
  it("has the ids that we have, mapped before its program goes on, and outlives that", async () => {
    const proc = tempDir();
    const fd = await makeNamespace(
      gate(proc, "echo; read -r _; cat $d/uid_map $d/gid_map > $d/seen; echo; read -r _"),
      proc,
    );
    expect(readFileSync(fd, "utf8")).toBe("the namespace\n");
    closeSync(fd);
    const own = (map: string) => identity(readFileSync(`/proc/self/${map}`, "utf8"));
    const pid = pidIn(proc);
    expect(readFileSync(join(proc, `${pid}/seen`), "utf8")).toBe(own("uid_map") + own("gid_map"));
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false), 5_000);
  });

  it("is made by a program that sees nothing of our environment", async () => {
    vi.stubEnv("IMGBUILD_OURS", "ours");
    onTestFinished(() => void vi.unstubAllEnvs());
    const proc = tempDir();
    const script = 'echo "$IMGBUILD_OURS" > $d/env; echo; read -r _; echo; read -r _';
    closeSync(await makeNamespace(gate(proc, script), proc));
    expect(readFileSync(join(proc, `${pidIn(proc)}/env`), "utf8")).toBe("\n");
  });

  it.each([
    ["what is said about it", "echo ' not permitted ' >&2; exit 1", "cannot be made: not permitted"],
    ["nothing", "exit 1", "cannot be made"],
    ["an end after the ids", "echo; read -r _; echo 'no limit' >&2", "cannot be made: no limit"],
  ])("is refused where it cannot be made, with %s", async (_what, script, message) => {
    const proc = tempDir();
    await expect(makeNamespace(gate(proc, script), proc)).rejects.toMatchObject({
      message: expect.stringMatching(new RegExp(`${message}$`)),
      hint: expect.stringContaining("user.max_user_namespaces"),
    });
  });

  it.each([
    ["at once", "exec sleep 60"],
    ["after the ids", "echo; read -r _; exec sleep 60"],
  ])("is waited for within a bound: a program that hangs %s is ended", async (_when, script) => {
    const proc = tempDir();
    await expect(makeNamespace(gate(proc, script), proc, 500)).rejects.toThrow(/cannot be made$/);
    await vi.waitFor(() => expect(isRunning(pidIn(proc))).toBe(false), 5_000);
  });

  it("is refused where its program is not there", async () => {
    await expect(makeNamespace(["no-such-program"], tempDir())).rejects.toThrow(/cannot be made/);
  });

  it("leaves every id as it is", () => {
    expect(identity("         0       1000          1\n         1     100000      65536\n")).toBe(
      "0 0 1\n1 1 65536\n",
    );
  });
});
