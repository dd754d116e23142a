import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { Report } from "../../src/schema/report.ts";
import { silentLog } from "../../src/util/log.ts";
import { expectSuccess, imgbuild, type Ran } from "../helpers/imgbuild.ts";
import { deployArguments, kept, type StockLab, startLab } from "../helpers/labs/lab.ts";
import { fetchPage } from "../helpers/labs/page.ts";

/** Deploys of other machines that are called "target" too are noted elsewhere. */
const state = mkdtempSync(join(tmpdir(), "imgbuild-state-"));
const env = { ...process.env, XDG_STATE_HOME: state };
afterAll(() => rmSync(state, { recursive: true, force: true }));
const minute = 60_000;
const keptSum = createHash("sha256").update(kept.content).digest("hex");

async function withLab(
  firmware: "bios" | "uefi",
  work: (lab: StockLab) => Promise<void>,
  more: { readonly memoryMib?: number } = {},
): Promise<void> {
  const lab = await startLab({ firmware, log: silentLog, env, ...more });
  try {
    await work(lab);
  } finally {
    await lab.close();
  }
}

async function deployed(lab: StockLab, target: string, more: readonly string[] = []): Promise<Report> {
  const file = join(lab.directory, "report.json");
  const ran = await imgbuild([...deployArguments(lab, file, target), ...more], {
    env,
    timeoutMs: 60 * minute,
  });
  expectSuccess(ran);
  expect(await lab.admin.succeed("sha256sum /srv/kept.txt")).toBe(`${keptSum}  /srv/kept.txt`);
  return Report.parse(JSON.parse(await readFile(file, "utf8")));
}

function asRoot(script: string): readonly string[] {
  return ["sudo", "-n", "sh", "-c", script];
}

function endedAfter(said: RegExp, signal: NodeJS.Signals): (child: ChildProcess) => void {
  return (child) => whenShown(child, said, () => void child.kill(signal));
}

it("deploy-uefi: a stock host under UEFI becomes imgbuild/web, started by systemd-boot", () =>
  withLab("uefi", async (lab) => {
    const report = await deployed(lab, "target");
    expect(report.outcome).toBe("done");
    const status = await lab.admin.succeed(["sudo", "-n", "bootctl", "status", "--no-pager"]);
    expect(status).toMatch(/Product: systemd-boot/);
  }));

it("deploy-local: the tree is made here and sent, the host fetches nothing, and no secret is anywhere but at its path (F26)", () =>
  withLab("bios", async (lab) => {
    const before = await lab.stock.waitForLogin();
    const file = join(lab.directory, "report.json");
    const ran = await imgbuild([...deployArguments(lab, file), "--build-on", "local"], {
      env,
      timeoutMs: 60 * minute,
    });
    expect(ran.stderr).not.toMatch(/warning: .*base is not kept/);
    expectSuccess(ran);
    const report = Report.parse(JSON.parse(await readFile(file, "utf8")));
    expect(report.outcome).toBe("done");
    expect(report.bootIds.old).toBe(before);
    expect(new Set(Object.values(report.bootIds)).size).toBe(3);
    // Nothing was needed of any network after the first write.
    expect(report.fetched?.packages).toBe(0);
    expect(report.bytes.tree).toBeGreaterThan(10 * 2 ** 20);
    expect(report.bytes.payload).toBeLessThanOrEqual(256 * 1024);
    expect(report.bytes.base).toBeLessThanOrEqual(120 * 2 ** 20);
    expect(report.seconds.steps.map(({ doing }) => doing)).toContain("unpacking the tree");
    expect(report.seconds.downtime).toBeGreaterThan(0);
    expect(report.peakMemoryMib).toBeGreaterThan(0);
    expect(report.health.length).toBeGreaterThan(0);
    expect(report.health.filter(({ ok }) => !ok)).toEqual([]);
    const inside = await lab.admin.succeed(
      asRoot(
        "sha256sum /srv/kept.txt; cat /etc/nginx/web.htpasswd; stat -c '%a %U:%G' /etc/nginx/web.htpasswd; ls /var/cache/imgbuild; cat /var/lib/imgbuild/deploy.json; grep -c URIs /etc/apt/sources.list.d/debian.sources; dpkg --audit",
      ),
    );
    const [sum, htpasswd, owner, cached, mark, sources, ...audit] = inside.split("\n");
    expect(sum).toBe(`${keptSum}  /srv/kept.txt`);
    expect(owner).toBe("640 root:www-data");
    // The next deploy has the base already.
    expect(cached).toMatch(/^[0-9a-f]{32}$/);
    expect(JSON.parse(mark!)).toMatchObject({ definition: report.definition });
    expect(Number(sources)).toBeGreaterThan(0);
    expect(audit).toEqual([]);
    expect((await fetchPage(await lab.machine.forward(80), "user", "demo")).status).toBe(200);
    await expectOnlyThere(lab, htpasswd!, ran, report);
    console.log(`down ${report.seconds.downtime} s`, JSON.stringify([report.seconds, report.bytes]));
  }));

it("deploy-host: the tree is made beside the running system; an interruption leaves nothing of it, and then no secret is anywhere but at its path", () =>
  withLab(
    "bios",
    async (lab) => {
      const before = await lab.stock.waitForLogin();
      const file = join(lab.directory, "report.json");
      const args = [...deployArguments(lab, file), "--build-on", "host"];
      const said = /making the tree on the old system[\s\S]*installing \d+ packages/;
      const stopped = await imgbuild(args, {
        ...{ env, timeoutMs: 60 * minute },
        onStart: endedAfter(said, "SIGINT"),
      });
      expect(stopped.code).toBe(130);
      expect(await lab.stock.waitForLogin()).toBe(before);
      expect(await leftOnOldSystem(lab)).toBe("kernel kit outer squashfs ");
      const ran = await imgbuild(args, { env, timeoutMs: 90 * minute });
      expectSuccess(ran);
      const report = Report.parse(JSON.parse(await readFile(file, "utf8")));
      expect(report.outcome).toBe("done");
      expect(report.bootIds.old).toBe(before);
      // The old system fetched them; the base unpacks what came of them, and nothing of it was sent.
      expect(report.fetched?.packages).toBeGreaterThan(100);
      expect(report.bytes).not.toHaveProperty("tree");
      expect(report.bytes.base).toBeLessThan(8 * 2 ** 20);
      expect(report.seconds.steps.map(({ doing }) => doing)).toContain("unpacking the tree");
      expect(report.seconds.steps.map(({ doing }) => doing).join("\n")).not.toMatch(
        /installing \d+ packages/,
      );
      expect(report.health.filter(({ ok }) => !ok)).toEqual([]);
      const inside = await lab.admin.succeed(
        asRoot(
          "sha256sum /srv/kept.txt; cat /etc/nginx/web.htpasswd; stat -c '%a %U:%G' /etc/nginx/web.htpasswd; dpkg --audit",
        ),
      );
      const [sum, htpasswd, owner, ...audit] = inside.split("\n");
      expect(sum).toBe(`${keptSum}  /srv/kept.txt`);
      expect(owner).toBe("640 root:www-data");
      expect(audit).toEqual([]);
      await expectOnlyThere(lab, htpasswd!, ran, report);
      console.log(`down ${report.seconds.downtime} s`, JSON.stringify([report.seconds, report.bytes]));
    },
    { memoryMib: 2048 },
  ));

it("deploy-sudo: the operator logs in as a user with sudo", () =>
  withLab("bios", async (lab) => {
    const report = await deployed(lab, "admin@target", ["--build-on", "target"]);
    expect(report.outcome).toBe("done");
    expect(report.fetched?.packages).toBeGreaterThan(100);
  }));

it("redeploy: a host that imgbuild made is replaced in turn, and the base is not sent again", () =>
  withLab("bios", async (lab) => {
    expect((await deployed(lab, "target")).bytes.base).toBeGreaterThan(0);
    const again = await deployed(lab, "admin@target");
    expect(again.outcome).toBe("done");
    // The program that looks what the cache has, and nothing of the base.
    expect(again.bytes.base).toBeLessThan(4 * 2 ** 20);
  }));

it("base-panics: the old system comes back, and the operator is told", () =>
  withLab("bios", async (lab) => {
    const file = join(lab.directory, "report.json");
    const before = await lab.stock.waitForLogin();
    // The base's first program is asked for by a name that is not there: its kernel panics at once.
    const args = [
      ...[...deployArguments(lab, file), "--build-on", "target"],
      ...["rdinit=/no-such-init", "root=/dev/none"].flatMap((word) => ["--base-cmdline", word]),
    ];
    const ran = await imgbuild(args, { env, timeoutMs: 30 * minute });
    expect(ran.code).toBe(4);
    const report = Report.parse(JSON.parse(await readFile(file, "utf8")));
    expect(report.outcome).toBe("old-system");
    const after = await lab.stock.waitForLogin();
    expect(after).not.toBe(before);
    expect(lab.machine.console.text).toContain("Kernel panic");
  }));

it("abort: the operator's machine is lost, another terminal looks in and sends the host back", () =>
  withLab("bios", async (lab) => {
    const before = await lab.stock.waitForLogin();
    const mark = lab.machine.console.mark();
    const lost = await imgbuild(
      [
        ...deployArguments(lab, join(lab.directory, "report.json")),
        ...["--dead-man", "3600", "--build-on", "target"],
      ],
      { env, timeoutMs: 30 * minute, onStart: endedAfter(/waiting for the base/, "SIGKILL") },
    );
    expect(lost.code).toBe(128);
    await lab.machine.waitForConsole(/imgbuild: the base is up/, { after: mark });
    const followed = await imgbuild(["follow", "target", ...lab.login], {
      env,
      timeoutMs: 5 * minute,
      onStart: endedAfter(/the runner is waiting/, "SIGINT"),
    });
    expect(followed.code).toBe(130);
    const aborted = await imgbuild(["abort", "target", ...lab.login], { env, timeoutMs: 5 * minute });
    expect(aborted).toMatchObject({ code: 0, stdout: "target runs its old system again\n" });
    await lab.stock.waitForLogin({ notBoot: before });
    expect(await lab.stock.succeed("sha256sum /srv/kept.txt")).toBe(`${keptSum}  /srv/kept.txt`);
  }));

it("resume: the network is gone while packages are fetched; the base stays up, and resuming brings the new system", () => {
  const work = async (lab: StockLab) => {
    const file = join(lab.directory, "report.json");
    const args = [...deployArguments(lab, file, "target", await withMuch()), "--build-on", "target"];
    const ran = await imgbuild(args, {
      env,
      timeoutMs: 60 * minute,
      onStart: (child) => {
        let cut = false;
        child.stderr?.on("data", (chunk: string) => {
          if (cut || !/unpacking \d+ essential packages/.test(chunk)) return;
          cut = true;
          void lab.machine.block();
          setTimeout(() => void lab.machine.unblock(), 4 * minute);
        });
      },
    });
    expect(ran.stderr).toMatch(/packages come over the network after the first write: \d+ MiB of RAM/);
    expect(ran.stderr).toContain("imgbuild resume target");
    expect(ran.code).toBe(1);
    const report = Report.parse(JSON.parse(await readFile(file, "utf8")));
    expect(report.outcome).toBe("failed");
    const resumed = await imgbuild(["resume", "target", ...lab.login], { env, timeoutMs: 60 * minute });
    expectSuccess(resumed);
    await lab.admin.waitForLogin({ withinSeconds: 120 });
    const found = await lab.admin.succeed("grep -c trixie /etc/os-release; sha256sum /srv/kept.txt");
    expect(found).toMatch(new RegExp(`^[1-9]\\d*\\n${keptSum}`));
  };
  return withLab("bios", work, { memoryMib: 720 });
});

it("replan: a definition that can only fail is replaced on the base by one that does not", () =>
  withLab("bios", async (lab) => {
    const file = join(lab.directory, "report.json");
    const args = [
      ...deployArguments(lab, file, "target", await withUnknownUnit()),
      // Made here, the tree would fail before the host is touched.
      ...["--build-on", "target"],
    ];
    const ran = await imgbuild(args, { env, timeoutMs: 60 * minute });
    expect(ran.stderr).toContain("no-such-unit.service");
    expect(ran.code).toBe(1);
    expect(Report.parse(JSON.parse(await readFile(file, "utf8"))).outcome).toBe("failed");
    const identity = ["--identity", "secrets/demo-identity.txt"];
    const confirmed = ["--unattended", "--yes-wipe", "IMGBUILD-SYSTEM"];
    const resume = ["resume", "target", "--with", "imgbuild/web", ...confirmed, ...lab.login, ...identity];
    const resumed = await imgbuild(resume, { env, timeoutMs: 60 * minute });
    expectSuccess(resumed);
    expect(await lab.admin.succeed("sha256sum /srv/kept.txt")).toBe(`${keptSum}  /srv/kept.txt`);
  }));

it("power-cut-bios: the machine loses power while packages are installed, and the operator is gone; the base starts from its disk, and is resumed", () =>
  withLab("bios", async (lab) => {
    const file = join(lab.directory, "report.json");
    const cut = cutInTheMiddle(lab, async (child) => void child.kill("SIGKILL"));
    const ran = await imgbuild([...deployArguments(lab, file), "--build-on", "target"], {
      ...{ env, timeoutMs: 60 * minute, onStart: cut.watch },
    });
    expect([ran.code, ran.stderr.slice(-3000)]).toEqual([
      128,
      expect.stringMatching(/installing \d+ packages/),
    ]);
    await cut.done();
    const followed = await answered(() =>
      imgbuild(["follow", "target", ...lab.login], { env, timeoutMs: 10 * minute }),
    );
    expect(followed.code).toBe(1);
    expect(followed.stderr).toMatch(/the machine lost power[\s\S]*imgbuild resume target --with DEF/);
    const plain = await imgbuild(["resume", "target", ...lab.login], { env, timeoutMs: 10 * minute });
    expect(plain.code).toBe(1);
    expect(plain.stderr).toContain("imgbuild resume target --with DEF");
    const confirmed = ["--unattended", "--yes-wipe", "IMGBUILD-SYSTEM"];
    const identity = ["--identity", "secrets/demo-identity.txt"];
    const resume = ["resume", "target", "--with", "imgbuild/web", ...confirmed, ...lab.login, ...identity];
    const resumed = await imgbuild(resume, { env, timeoutMs: 60 * minute });
    expectSuccess(resumed);
    await expectWhole(lab);
  }));

it("power-cut-uefi: the machine loses power while packages are installed; the base starts from its disk, and the deploy goes on by itself", () =>
  withLab("uefi", async (lab) => {
    const cut = cutInTheMiddle(lab, async () => {});
    const args = [...deployArguments(lab, join(lab.directory, "report.json")), "--build-on", "target"];
    const ran = await imgbuild(args, {
      ...{ env, timeoutMs: 90 * minute, onStart: cut.watch },
    });
    await cut.done();
    expect(ran.stderr).toContain("the machine lost power, and has started the base from its disk");
    expectSuccess(ran);
    await expectWhole(lab);
  }));

it("power-cut-local: the machine loses power while a tree is unpacked that was sent; it is brought again, and the deploy goes on", () =>
  withLab("bios", async (lab) => {
    const cut = cutInTheMiddle(lab, async () => {}, { at: /unpacking the tree/, afterMs: 5_000 });
    const ran = await imgbuild(
      [...deployArguments(lab, join(lab.directory, "report.json")), "--build-on", "local"],
      { env, timeoutMs: 90 * minute, onStart: cut.watch },
    );
    await cut.done();
    expect(ran.stderr).toContain("the machine lost power, and has started the base from its disk");
    expectSuccess(ran);
    expect(ran.stderr).toMatch(/sending the tree again[\s\S]*checking the tree that came along: done/);
    await expectWhole(lab);
  }));

it("disk-fails: the disk gives write errors while the tree is unpacked; the base says so and stays, and with a disk that works it is resumed", () =>
  withLab("bios", async (lab) => {
    const failing = "IMGBUILD-SYSTEM";
    let faulty: Promise<void> | undefined;
    const ran = await imgbuild(
      [...deployArguments(lab, join(lab.directory, "report.json")), "--build-on", "local"],
      {
        ...{ env, timeoutMs: 60 * minute },
        onStart: (child) =>
          whenShown(child, /unpacking the tree/, () => {
            faulty = lab.machine.failDisk(failing, { on: "write" });
          }),
      },
    );
    await faulty;
    expect(faulty).toBeDefined();
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/(Input\/output error|EIO|Read-only file system|EROFS)/);
    expect(ran.stderr).toContain("imgbuild resume target");
    await lab.machine.healDisk(failing);
    const resumed = await imgbuild(["resume", "target", ...lab.login], { env, timeoutMs: 60 * minute });
    expectSuccess(resumed);
    await expectWhole(lab);
  }));

/** The secret's own text is a canary: no log, report or console holds it, and on the disk it is at one place. */
async function expectOnlyThere(lab: StockLab, htpasswd: string, ran: Ran, report: Report): Promise<void> {
  const canary = htpasswd.split(":")[1]!;
  expect(canary.length).toBeGreaterThan(10);
  for (const text of [ran.stdout, ran.stderr, JSON.stringify(report), lab.machine.console.text])
    expect(text.includes(canary)).toBe(false);
  const places = "/etc /var /root /home /usr/local /run /boot /tmp";
  // By stdin: sudo writes the argv of what it runs into the journal.
  const found = await lab.admin.execute(asRoot(`grep -rlFs --devices=skip -f - ${places}`), {
    withinSeconds: 60,
    stdin: `${canary}\n`,
  });
  expect(found.stdout.trim().split("\n")).toEqual(["/etc/nginx/web.htpasswd"]);
}

/** What a deploy that was taken back has left: names in the cache of bases, and what is more than that. */
async function leftOnOldSystem({ stock }: StockLab): Promise<string> {
  return await stock.succeed(
    [
      "ls -d /run/imgbuild /run/imgbuild.lock 2>/dev/null",
      "grep imgbuild /proc/mounts",
      "cat /sys/block/loop*/loop/backing_file 2>/dev/null",
      // Itself has brackets there.
      "grep -la '[i]mgbuild/runner.cjs' /proc/[0-9]*/cmdline 2>/dev/null",
      "find /sys/fs/cgroup -type d -name 'imgbuild-[0-9]*-*'",
      "ls /var/cache/imgbuild/*/ | tr '\\n' ' '",
    ].join("; "),
  );
}

/** Does it once, as soon as a command has shown that. */
function whenShown(child: ChildProcess, said: RegExp, act: () => void): void {
  let text = "";
  let done = false;
  child.stderr?.on("data", (chunk: string) => {
    text += chunk;
    if (done || !said.test(text)) return;
    done = true;
    act();
  });
}

/** Pulls the plug of the machine some time into the installation of packages, or another step, and switches it on again. */
function cutInTheMiddle(
  lab: StockLab,
  before: (deploy: ChildProcess) => Promise<void>,
  { at, afterMs } = { at: /installing \d+ packages/, afterMs: minute / 3 },
) {
  let done: Promise<void> | undefined;
  const cut = async (child: ChildProcess) => {
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await before(child);
    await lab.machine.crash();
    await lab.machine.start();
  };
  return {
    watch: (child: ChildProcess) =>
      whenShown(child, at, () => {
        done = cut(child);
      }),
    done: async () => await done,
  };
}

/** What is kept is as it was, and nothing is left of the base's own entry, its host key included. */
async function expectWhole(lab: StockLab): Promise<void> {
  await lab.admin.waitForLogin({ withinSeconds: 120 });
  expect(await lab.admin.succeed("sha256sum /srv/kept.txt")).toBe(`${keptSum}  /srv/kept.txt`);
  const left =
    "find /var/cache/imgbuild /boot /efi -name deploy -o -name 'imgbuild-rescue*' -o -path '*/imgbuild/rescue*'";
  expect(await lab.admin.succeed(["sudo", "-n", "sh", "-c", left])).toBe("");
}

/** The base has just started: its network takes a while. */
async function answered(ask: () => Promise<Ran>): Promise<Ran> {
  for (let tries = 10; ; tries -= 1) {
    const ran = await ask();
    if (tries === 0 || !ran.stderr.includes("neither the base nor another system answers")) return ran;
  }
}

/** `imgbuild/web` with a service that no package has. */
async function withUnknownUnit(): Promise<string> {
  return await changedWeb(
    "out/unknown-unit",
    "  services: {",
    '    "no-such-unit.service": { state: "enabled" },',
  );
}

/** `imgbuild/web` with more packages than the RAM of a small machine holds, locked anew. */
async function withMuch(): Promise<string> {
  const to = await changedWeb("out/much", "    install: [", '      "linux-source-6.12",');
  expectSuccess(await imgbuild(["lock", to], { env, timeoutMs: 10 * minute }));
  return to;
}

async function changedWeb(to: string, after: string, line: string): Promise<string> {
  await rm(to, { recursive: true, force: true });
  await cp("imgbuild/web", to, { recursive: true });
  const file = join(to, "IMGBUILD.ts");
  const text = await readFile(file, "utf8");
  const changed = text.replace(`${after}\n`, `${after}\n${line}\n`);
  if (changed === text) throw new Error(`imgbuild/web has no line ${after.trim()}`);
  await writeFile(file, changed);
  return to;
}
