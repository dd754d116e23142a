import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { deadManOf } from "../../../src/target/dead-man.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

/** The dead man of initramfs/init, in its own shell, with files for the kernel's ends and seconds for its ticks. */
async function armed(
  options: {
    seconds?: number;
    rearm?: number;
    canStop?: "yes" | "no";
    state?: string;
    boundMs?: number;
  } = {},
) {
  const directory = tempDir();
  const at = (name: string) => join(directory, name);
  const init = readFileSync("initramfs/init", "utf8");
  const part = init.slice(init.indexOf("tick=5"), init.indexOf("mkdir -m 700 /run/imgbuild"));
  for (const name of ["trigger", "kmsg", "fed"]) writeFileSync(at(name), "");
  const script = part
    .replace("tick=5", "tick=1")
    .replace("/proc/sysrq-trigger", at("trigger"))
    .replace("/dev/kmsg", at("kmsg"))
    .replace("/proc/self/oom_score_adj", at("oom"));
  const run = `mkfifo deadman; dead_man ${options.seconds ?? 60} ${options.canStop ?? "yes"} 6> fed`;
  const child = spawn("busybox", ["sh", "-c", `${script}\n${run}`], { cwd: directory, stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  const ended = once(child, "close");
  for (const name of ["sysctl", "watchdog", "watchdog/watchdog0"]) mkdirSync(at(name));
  const panics = ["hung_task_panic", "softlockup_panic", "panic_on_oops"];
  for (const name of panics) writeFileSync(at(`sysctl/${name}`), "1");
  writeFileSync(at("watchdog/watchdog0/state"), `${options.state ?? "inactive"}\n`);
  const deadMan = deadManOf({
    directory,
    seconds: options.rearm ?? 60,
    sysctl: at("sysctl"),
    watchdog: at("watchdog"),
    boundMs: options.boundMs ?? 10_000,
  });
  while (!existsSync(at("deadman"))) await sleep(10);
  // Until it has opened its ends, which is the last thing that it does before it waits.
  while (!existsSync(at("oom"))) await sleep(10);
  const read = (name: string) => readFileSync(at(name), "utf8");
  const until = async (is: () => boolean) => {
    for (let tries = 0; !is() && tries < 1000; tries += 1) await sleep(10);
    expect(is()).toBe(true);
  };
  const panicking = () => panics.filter((name) => read(`sysctl/${name}`) !== "0");
  return { child, ended, deadMan, read, until, panicking };
}

describe("the dead man", () => {
  it("restarts the machine when nobody says GO in time, and feeds the watchdog until then", async () => {
    const { read, until } = await armed({ seconds: 2 });
    await until(() => read("trigger") !== "");
    expect(read("trigger")).toBe("b\n");
    expect(read("kmsg")).toContain("no disk was written within 2 s after the start of the base");
    const fed = read("fed");
    expect(fed).toMatch(/^\n+$/);
    await sleep(2_500);
    expect(read("fed")).toBe(fed);
  });

  it("stays armed behind GO, for a time of its own", async () => {
    const { deadMan, read, until } = await armed({ seconds: 60, rearm: 2 });
    deadMan.rearm();
    await until(() => read("trigger") !== "");
    expect(read("kmsg")).toContain("no disk was written within 2 s after GO");
  });

  it("ends at the first write, with the watchdog and all that would restart this kernel", async () => {
    const { ended, deadMan, read, panicking } = await armed({ seconds: 2 });
    await deadMan.standDown();
    await ended;
    expect(read("fed")).toMatch(/V\n$/);
    expect(panicking()).toEqual([]);
    await sleep(2_500);
    expect(read("trigger")).toBe("");
    // A runner that is started anew, or works through another plan, finds it so.
    await deadMan.standDown();
  });

  it("goes on feeding a watchdog that cannot be stopped, and does nothing else", async () => {
    const { deadMan, read, until } = await armed({ seconds: 2, canStop: "no", state: "active" });
    await deadMan.standDown();
    const fed = read("fed").length;
    await until(() => read("fed").length > fed + 2);
    expect(read("fed")).not.toContain("V");
    expect(read("trigger")).toBe("");
  });

  it("is not taken for stood down when it does not say so, or when it is gone, or the watchdog runs on", async () => {
    const stopped = await armed({ boundMs: 300 });
    stopped.child.kill("SIGSTOP");
    await expect(stopped.deadMan.standDown()).rejects.toThrow("does not stand down");
    expect(stopped.panicking()).toHaveLength(3);
    const gone = await armed();
    gone.child.kill("SIGKILL");
    await gone.ended;
    expect(() => gone.deadMan.rearm()).toThrow("dead man is gone");
    await expect(gone.deadMan.standDown()).rejects.toThrow("dead man is gone");
    const running = await armed({ state: "active" });
    await expect(running.deadMan.standDown()).rejects.toThrow("watchdog does not stop");
    expect(running.panicking()).toHaveLength(3);
  });

  it("has nothing to do where init armed none", async () => {
    const deadMan = deadManOf({ directory: tempDir(), seconds: 1 });
    deadMan.rearm();
    await deadMan.standDown();
  });
});
