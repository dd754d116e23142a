import type { ChildProcess } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { loadDefinition } from "../../src/operator/definition/load.ts";
import { recordDeploy } from "../../src/operator/records/known-deploys.ts";
import { type DeployRecord, sealRecord } from "../../src/operator/records/sealed-record.ts";
import { readRecipients, revealSecrets } from "../../src/operator/secrets/secrets.ts";
import { recordFiles } from "../../src/schema/base/deploy.ts";
import { Report } from "../../src/schema/report.ts";
import { markPath } from "../../src/steps/tree/finish-tree.ts";
import { Journal } from "../../src/target/journal.ts";
import { Runner } from "../../src/target/runner.ts";
import { serve } from "../../src/target/socket.ts";
import { fingerprintOf } from "../../src/transport/known-hosts.ts";
import { Fail } from "../../src/util/fail.ts";
import { silentLog } from "../../src/util/log.ts";
import { sampleReports } from "../helpers/builders/sample-reports.ts";
import { baseReport } from "../helpers/fakes/base-report.ts";
import { noDeadMan } from "../helpers/fakes/dead-man.ts";
import { notedDeploy } from "../helpers/fakes/noted-deploy.ts";
import { expectSuccess, imgbuild } from "../helpers/imgbuild.ts";
import { environment, expectFail } from "../helpers/labs/cli-lab.ts";
import { sshHome, startSshd } from "../helpers/labs/sshd.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const nonce = "c".repeat(64);
const minute = 60_000;

/** Shell that puts systemctl, journalctl and dpkg in the place of this machine's, as they answer on a new system. */
function itsPrograms(failed = ""): string {
  const programs = {
    systemctl: `case "$1" in
      is-system-running) test -z "${failed}" && echo running || { echo degraded; exit 1; } ;;
      list-units) test -z "${failed}" || echo "${failed} loaded failed failed Its description" ;;
      show) for last; do :; done
        state=active; test "$last" != "${failed}" || state=failed
        printf 'LoadState=loaded\\nActiveState=%s\\nResult=exit-code\\nExecMainStatus=1\\nNRestarts=0\\n' $state ;;
    esac`,
    journalctl: 'echo "[7.1] nft[300]: /etc/nftables.conf:4: Error: syntax error"',
    dpkg: "exit 0",
    grep: "exit 0",
  };
  return Object.entries(programs)
    .map(
      ([name, script]) =>
        `cat >/run/${name} <<'END'\n#!/bin/sh\n${script}\nEND\nchmod 755 /run/${name}; mount --bind /run/${name} /usr/bin/${name}`,
    )
    .join("\n");
}

/** A machine in its base: OpenSSH with a /run of its own, in which the real runner listens. Its restart brings the system that was built. */
async function base(
  story: {
    work?: (times: number, ponr: () => Promise<void>) => Promise<void>;
    healthy?: boolean;
    /** A unit of the new system that has failed. */
    failed?: string;
    /** What its restart brings; by default the system that was built. */
    restartBrings?: "old" | "nothing";
    /** What came with GO is wiped as soon as a build has failed. */
    wiped?: boolean;
    /** Changes what the base holds of its deploy, for others. */
    record?: (record: DeployRecord) => DeployRecord;
  } = {},
) {
  const [before, after] = [tempDir(), tempDir()];
  // Its files are looked at before anything is done.
  sshHome(after);
  const alone = (script: string, ...words: string[]) => [
    ...["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-ec"],
    `mount -t tmpfs -o mode=755 tmpfs /run; mkdir -p /run/sshd /run/imgbuild; ${script}; n=$1; shift; shift "$n"; exec "$@"`,
    ...["sh", String(words.length), ...words],
  ];
  sshHome(before);
  const newSystem = {
    nonce,
    health: [
      { type: "command" as const, argv: [story.healthy === false ? "false" : "true"], withinSeconds: 1 },
    ],
    units: ["nftables.service"],
    placed: [],
    scripts: false,
    slow: 1,
    bootMs: story.restartBrings === "nothing" ? 3_000 : 20_000,
  };
  const baseHostKey = readFileSync(join(before, "host_key.pub"), "utf8").split(" ").slice(0, 2).join(" ");
  const began: Report = { ...sampleReports.done!, outcome: "failed", started: new Date().toISOString() };
  const noted = { ...notedDeploy, nonce, planDigest: "plan", baseHostKey, newSystem, report: began };
  const inBase = story.record?.(noted) ?? noted;
  writeFileSync(join(before, recordFiles.plain), JSON.stringify(inBase));
  const opened = await revealSecrets(await loadDefinition("imgbuild/web"), {
    identityFiles: ["secrets/demo-identity.txt"],
  });
  const sealed = await sealRecord(inBase, opened, await readRecipients("secrets"));
  writeFileSync(join(before, recordFiles.sealed), sealed!);
  const server = await startSshd(before, { around: alone(`cp ${before}/record.* /run/imgbuild/`) });
  const host = `root@127.0.0.1:${server.port}`;
  let works = 0;
  const life = { restarts: 0 };
  const runner = new Runner({
    journal: new Journal(join(tempDir(), "journal"), () => 1),
    log: silentLog,
    nonce,
    bootId: "b",
    recipient: "age1x",
    now: () => performance.now(),
    forget: () => {},
    goFile: join(tempDir(), "go"),
    payload: { planDigest: "plan" },
    replace: () => Promise.reject(new Fail("not in this test")),
    work: async (_sealed, ponr) => {
      works += 1;
      await (story.work ?? (async (_times, first) => first()))(works, ponr);
    },
    ...noDeadMan,
    report: baseReport,
    restart: async () => {
      life.restarts += 1;
      if (life.restarts > 1) return await new Promise<never>(() => {});
      // Connections end with it, as with a machine.
      server.stop();
      if (story.restartBrings === "nothing") return await new Promise<never>(() => {});
      const mark =
        story.restartBrings === "old"
          ? ":"
          : `mount -t tmpfs tmpfs /var/lib; mkdir -p /var/lib/imgbuild; echo '{"nonce":"${nonce}"}' > ${markPath}`;
      await startSshd(after, { port: server.port, around: alone(`${mark}; ${itsPrograms(story.failed)}`) });
      return await new Promise<never>(() => {});
    },
    later: (ms, what) => {
      // Nothing here lasts until secrets are wiped.
      if (ms > minute) {
        if (story.wiped) what();
        return;
      }
      const timer = setTimeout(what, Math.min(ms, 2_000));
      onTestFinished(() => clearTimeout(timer));
    },
  });
  const listening = await serve(`/proc/${server.pid}/root/run/imgbuild/runner.sock`, runner);
  onTestFinished(() => void listening.close());
  const state = tempDir();
  await recordDeploy({ XDG_STATE_HOME: state }, host, noted);
  const command = (
    args: readonly string[],
    onSaid?: readonly [string, (child: ChildProcess) => void],
    stateHome = state,
  ) =>
    imgbuild(
      [
        ...args,
        host,
        ...["--ssh-key", join(before, ".ssh/id_ed25519"), "--ssh-key", join(after, ".ssh/id_ed25519")],
        ...["--known-hosts", join(after, ".ssh/known_hosts")],
      ],
      {
        env: { ...environment, XDG_STATE_HOME: stateHome, HOME: before, SSH_AUTH_SOCK: undefined },
        timeoutMs: 2 * minute,
        onStart: (child) => {
          let said = "";
          child.stderr?.on("data", (chunk: string) => {
            said += chunk;
            if (onSaid === undefined || !said.includes(onSaid[0])) return;
            said = "";
            onSaid[1](child);
          });
        },
      },
    );
  const go = () => runner.onMessage({ type: "go", planDigest: "plan", sealed: "s" }, () => {});
  return { host, baseHostKey, command, go, life, works: () => works };
}

describe("a base that this machine has started", () => {
  it("is followed to its end, and the system that then answers has to prove itself", async () => {
    const { host, command, go } = await base();
    // A runner that is done restarts by itself: whoever comes after that finds no base to follow.
    const ran = await command(["follow"], ["the runner is waiting", go]);
    expectSuccess(ran);
    expect(ran.stdout).toMatch(new RegExp(`^${host} runs .*, as it was built\\n$`));
  });

  it("is resumed after a failure, and what is not healthy then is a failure, told in events alone with --json", async () => {
    const { command, go } = await base({
      healthy: false,
      work: async (times, ponr) => {
        ponr();
        if (times === 1) throw new Fail("the mirror is gone");
      },
    });
    go();
    expectFail(await command(["follow"]), 1, /the runner failed: the mirror is gone/, /imgbuild resume/);
    const ran = await command(["--json", "resume"]);
    expect(ran.code).toBe(1);
    const events = ran.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string; message?: string });
    expect(events.map(({ event }) => event)).toContain("report");
    expect(events.at(-1)).toMatchObject({
      event: "error",
      message: expect.stringMatching(
        /^the new system runs, but 1 of its checks failed:\n {2}command false: exit code 1$/,
      ),
    });
    expect(events.map(({ event }) => event)).not.toContain("done");
  });

  it("is not done while a unit of the new system has failed, unless that is accepted", async () => {
    const failed = "nftables.service";
    const strict = await base({ failed });
    const ran = await strict.command(["follow"], ["the runner is waiting", strict.go]);
    expectFail(
      ran,
      1,
      /unit nftables\.service: it has failed \(exit-code, status 1\)\n.*nftables\.conf:4: Error: syntax error/,
      /--accept-degraded/,
    );
    const lenient = await base({ failed });
    const accepted = await lenient.command(
      ["follow", "--accept-degraded"],
      ["the runner is waiting", lenient.go],
    );
    expect(accepted).toMatchObject({ code: 0, stdout: expect.stringMatching(/as it was built\n$/) });
    expect(accepted.stderr).toMatch(/accepted as it is: .*2 of its checks failed/);
  });

  it("is sent back to its old system before the first write, and not behind it", async () => {
    const early = await base({ restartBrings: "old" });
    expect(await early.command(["abort"])).toMatchObject({
      code: 0,
      stdout: `${early.host} runs its old system again\n`,
    });
    expect(early.life.restarts).toBe(1);
    const between = await base({ restartBrings: "old", work: () => new Promise(() => {}) });
    between.go();
    expect(await between.command(["abort"])).toMatchObject({ code: 0 });
    const late = await base({
      work: async (_times, ponr) => {
        ponr();
        throw new Fail("the mirror is gone");
      },
    });
    late.go();
    expectFail(
      await late.command(["abort"]),
      1,
      /disks were written already; there is no old system to return to/,
      /imgbuild follow/,
    );
    expect(late.life.restarts).toBe(0);
  });

  it("is not said to have returned where nothing answers after it, or the new system does", async () => {
    const dark = await base({ restartBrings: "nothing" });
    expectFail(
      await dark.command(["abort"]),
      1,
      /the base has restarted, but the old system did not answer within 3 s/,
      /console.*imgbuild follow/,
    );
    const built = await base();
    expectFail(await built.command(["abort"]), 1, /the new system answers/);
  });

  it("has returned by itself when it fails before the first write: exit code 4 once the old system answers", async () => {
    const fails = (restartBrings: "old" | "nothing") =>
      base({ restartBrings, work: () => Promise.reject(new Fail("no such disk")) });
    const early = await fails("old");
    expectFail(
      await early.command(["follow"], ["the runner is waiting", early.go]),
      4,
      /the runner failed: no such disk/,
      /no disk was written, and .* runs its old system again/,
    );
    const dark = await fails("nothing");
    expectFail(
      await dark.command(["follow"], ["the runner is waiting", dark.go]),
      1,
      /the runner failed: no such disk/,
      /no disk was written, but the old system did not answer within 3 s/,
    );
  });

  it("is asked for in vain once it is gone: what answers instead is named, with what to type next", async () => {
    const returned = await base({ restartBrings: "old" });
    expect(await returned.command(["abort"])).toMatchObject({ code: 0 });
    expect(await returned.command(["abort"])).toMatchObject({
      code: 0,
      stdout: `${returned.host} runs its old system again\n`,
    });
    for (const command of ["follow", "resume"])
      expectFail(await returned.command([command]), 4, /runs its old system again/, /imgbuild deploy DEF/);
    const built = await base();
    expectFail(await built.command(["abort"]), 1, /the new system answers/);
    for (const command of ["abort", "resume"])
      expectFail(await built.command([command]), 1, /runs the new system/, /imgbuild follow/);
    const followed = await built.command(["follow"]);
    expect({ code: followed.code, stdout: followed.stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/, as it was built\n$/),
    });
    const dark = await base({ restartBrings: "nothing" });
    expect(await dark.command(["abort"])).toMatchObject({ code: 1 });
    expectFail(
      await dark.command(["abort"]),
      1,
      /neither the base nor another system answers at .*: it may be restarting into its old system, or be building/,
      /console.*imgbuild abort/,
    );
  });

  it("is not resumed without the secrets that it has wiped, and shows what brings them again", async () => {
    const { command, go, host, works } = await base({
      wiped: true,
      work: async (_times, ponr) => {
        await ponr();
        throw new Fail("the mirror is gone");
      },
    });
    go();
    const again = new RegExp(`imgbuild resume ${host.replaceAll(".", "\\.")} --with DEF`);
    expectFail(await command(["follow"]), 1, /the mirror is gone/, again);
    expectFail(await command(["resume"]), 1, /^error: the base has wiped the secrets/, again);
    expect(works()).toBe(1);
  });

  it("is left alone by an interruption, at once", async () => {
    const { command } = await base();
    const began = Date.now();
    const ran = await command(["follow"], ["the runner is waiting", (child) => child.kill("SIGINT")]);
    expect(ran.code).toBe(130);
    expect(Date.now() - began).toBeLessThan(30_000);
  });

  it("is followed from another computer by its host key, with the report of the whole deploy", async () => {
    const { command, go, baseHostKey } = await base();
    const elsewhere = tempDir();
    const file = join(elsewhere, "report.json");
    const other = fingerprintOf(`ssh-ed25519 ${Buffer.from("another").toString("base64")}`);
    expectFail(
      await command(["follow", "--base-key", other], undefined, elsewhere),
      1,
      /does not answer with the expected host key/,
    );
    const args = ["follow", "--base-key", fingerprintOf(baseHostKey), "--report", file];
    const ran = await command(args, ["the runner is waiting", go], elsewhere);
    expectSuccess(ran);
    const report = Report.parse(JSON.parse(readFileSync(file, "utf8")));
    expect(report).toMatchObject({ outcome: "done", hostname: "web.example.org", bootIds: { base: "b" } });
    expect(report.bootIds.new).toMatch(/^[0-9a-f-]{36}$/);
    expect(report.health.length).toBeGreaterThan(0);
    expect(report.seconds.downtime).not.toBeNull();
    expect(readFileSync(join(elsewhere, "report.html"), "utf8")).toContain("web.example.org");
    // It is noted there from now on.
    expect((await command(["follow"], undefined, elsewhere)).code).toBe(0);
  });

  it("is known by the definition's secrets alone, which its record was made with", async () => {
    const { command, go } = await base({
      work: async (times, ponr) => {
        await ponr();
        if (times === 1) throw new Fail("the mirror is gone");
      },
    });
    const elsewhere = tempDir();
    const file = join(elsewhere, "report.json");
    const by = ["--definition", "imgbuild/web", "--identity", "secrets/demo-identity.txt", "--report", file];
    go();
    expectFail(await command(["follow", ...by], undefined, elsewhere), 1, /the mirror is gone/);
    expect(Report.parse(JSON.parse(readFileSync(file, "utf8"))).outcome).toBe("failed");
    const ran = await command(["resume", ...by], undefined, elsewhere);
    expectSuccess(ran);
    expect(Report.parse(JSON.parse(readFileSync(file, "utf8"))).outcome).toBe("done");
  });

  it("is not taken for its deploy where its record names another host key, or other secrets made it", async () => {
    const by = ["--definition", "imgbuild/web", "--identity", "secrets/demo-identity.txt"];
    const between = await base({ record: (record) => ({ ...record, baseHostKey: "ssh-ed25519 AAAAbase" }) });
    expectFail(
      await between.command(["follow", ...by], undefined, tempDir()),
      1,
      /another host key than what answers/,
      /somebody may be between/,
    );
    const { command } = await base();
    const others = ["--definition", "imgbuild/notes", "--identity", "secrets/demo-identity.txt"];
    expectFail(
      await command(["follow", ...others], undefined, tempDir()),
      1,
      /was not made with this definition's secrets/,
    );
  });

  it("is nobody's where its deploy was started elsewhere", async () => {
    const ran = await imgbuild(["follow", "root@192.0.2.1"], {
      env: { ...environment, XDG_STATE_HOME: tempDir() },
      timeoutMs: minute,
    });
    expectFail(ran, 1, /no deploy of root@192\.0\.2\.1 was started from here/);
  });
});
