import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { cpioBytes } from "../../src/archive/cpio.ts";
import { deploy } from "../../src/operator/deploy/deploy.ts";
import type { deployInputs } from "../../src/operator/deploy/inputs.ts";
import { knownDeploy } from "../../src/operator/records/known-deploys.ts";
import { Report } from "../../src/schema/report.ts";
import { sha256 } from "../../src/util/digest.ts";
import { silentLog } from "../../src/util/log.ts";
import type { SshShell } from "../../src/vm/shell/ssh-shell.ts";
import { imgbuild } from "../helpers/imgbuild.ts";
import { deployArguments, deployHere, kept, type StockLab, startLab } from "../helpers/labs/lab.ts";

const env = process.env;
const minute = 60_000;
const keptSum = createHash("sha256").update(kept.content).digest("hex");
/** Seconds that the dead man lets pass, and those of the watchdog (src/operator/base/base.ts). */
const deadMan = 240;
const watchdog = 60;

/** Deploys onto a stock host, whose base hangs by what `act` does to it; the old system must serve again, untouched. */
async function hanging(
  act: (lab: StockLab, mark: number) => Promise<void>,
): Promise<{ report: Report; console: string }> {
  const lab = await startLab({ firmware: "bios", log: silentLog, env, watchdog: true });
  try {
    const before = await lab.stock.waitForLogin();
    const file = join(lab.directory, "report.json");
    const mark = lab.machine.console.mark();
    const args = [...deployArguments(lab, file), "--dead-man", String(deadMan), "--build-on", "target"];
    const deploying = imgbuild(args, { env, timeoutMs: 40 * minute });
    await Promise.race([
      lab.machine.waitForConsole(/imgbuild: the base is up/, { after: mark, withinSeconds: 600 }),
      deploying.then((ran) => Promise.reject(new Error(`it ended before the base was up: ${ran.stderr}`))),
    ]);
    await act(lab, mark);
    const ran = await deploying;
    expect({ code: ran.code, stdout: ran.stdout }).toMatchObject({ code: 4 });
    expect(ran.stderr).toContain("failed before any disk was written; the old system is in place");
    expect(await lab.stock.waitForLogin()).not.toBe(before);
    expect(await lab.stock.succeed("sha256sum /srv/kept.txt")).toBe(`${keptSum}  /srv/kept.txt`);
    const report = Report.parse(JSON.parse(await readFile(file, "utf8")));
    expect(report.outcome).toBe("old-system");
    return { report, console: lab.machine.console.since(mark) };
  } finally {
    await lab.close();
  }
}

/** root in the base, by the key of the definition's administrator. */
async function inBase(lab: StockLab): Promise<SshShell> {
  const { baseHostKey } = await knownDeploy(env, "target");
  return lab.machine.ssh({ user: "root", key: join(lab.directory, "admin-key"), pins: [baseHostKey] });
}

/** Runs lines in the base as soon as GO has come, which may be before this returns. */
async function afterGo(lab: StockLab, script: string): Promise<void> {
  const base = await inBase(lab);
  // The console says that the base is up before its sshd answers.
  await base.waitForLogin();
  const waiting = `until [ -e /run/imgbuild/go ]; do sleep 0.2; done; ${script}`;
  await base.succeed(`setsid sh -c '${waiting}' </dev/null >/dev/null 2>&1 &`);
}

it("hang-runner: a runner that is stopped between GO and the first write ends in the old system", async () => {
  const { console } = await hanging((lab) => afterGo(lab, "kill -STOP $(busybox pidof node)"));
  expect(console).toContain(
    `no disk was written within ${deadMan} s after GO; restarting into the old system`,
  );
});

it("hang-base: a base whose processor runs nothing else any more is reset by the machine's watchdog", async () => {
  // Since Linux 6.12 a server of the scheduler saves some time for ordinary programs, the bound for real-time ones aside.
  const hog = [
    "mount -t debugfs debugfs /sys/kernel/debug",
    "echo 0 > /sys/kernel/debug/sched/fair_server/cpu0/runtime",
    "echo -1 > /proc/sys/kernel/sched_rt_runtime_us",
    'exec chrt -f 99 sh -c "while :; do :; done"',
  ].join("; ");
  const { console } = await hanging((lab) => afterGo(lab, hog));
  expect(console).toContain(`the watchdog is i6300ESB timer, ${watchdog} s`);
  expect(console).not.toContain("restarting into the old system");
});

it("hang-disk: a program that no kill ends, at a disk that does not answer, is given up and said so", async () => {
  const { report, console } = await hanging(async ({ machine }, mark) => {
    await machine.slowDisk("IMGBUILD-DATA", 1);
    // The disk answers again for the system that starts from it.
    await machine.waitForConsole(/sysrq: Resetting/, { after: mark, withinSeconds: 120 });
    await machine.slowDisk("IMGBUILD-DATA", 0);
  });
  expect(report.message).toMatch(/was killed and has not ended within 10 s/);
  expect(console).not.toContain("no disk was written within");
});

it("hang-before-init: a base that hangs in its first program, its dead man as well, is reset by the machine's watchdog", async () => {
  const lab = await startLab({ firmware: "bios", log: silentLog, env, watchdog: true });
  try {
    const before = await lab.stock.waitForLogin();
    const mark = lab.machine.console.mark();
    const { inputs, world } = await deployHere(lab, env);
    const report = await deploy(
      { ...inputs, base: await withHangingInit(inputs.base, lab.directory) },
      world,
    );
    expect(report.outcome).toBe("old-system");
    expect(await lab.stock.waitForLogin()).not.toBe(before);
    expect(await lab.stock.succeed("sha256sum /srv/kept.txt")).toBe(`${keptSum}  /srv/kept.txt`);
    const console = lab.machine.console.since(mark);
    expect(console).toContain("this base hangs now");
    expect(console).not.toContain("the base is up");
    expect(console).not.toContain("restarting into the old system");
  } finally {
    await lab.close();
  }
});

/** The base, with an /init that stops its dead man and itself as soon as that is armed. */
async function withHangingInit<B extends Awaited<ReturnType<typeof deployInputs>>["base"]>(
  base: B,
  directory: string,
): Promise<B> {
  const init = await readFile("initramfs/init", "utf8");
  const line = "[ -d /imgbuild ] || fail";
  expect(init).toContain(line);
  const hang = 'sleep 2; kill -STOP $!; say "this base hangs now"; while :; do sleep 60; done\n';
  const content = Buffer.from(init.replace(line, `${hang}${line}`));
  // The kernel unpacks archives one after another, and the later file is the one that stays.
  const more = await cpioBytes([{ type: "file", name: "init", mode: 0o755, content }]);
  const outer = Buffer.concat([await readFile(base.outer.path), more]);
  const path = join(directory, "outer");
  await writeFile(path, outer);
  return {
    ...base,
    digest: `${base.digest}-hangs`,
    outer: { path, size: outer.length, sha256: sha256(outer) },
  };
}
