import { describe, expect, it } from "vitest";
import { type Expected, expectedOf } from "../../../../src/system/health/expected.ts";
import { changedFiles, systemChecks } from "../../../../src/system/health/system-checks.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";
import { type FakeSystem, fakeSystem } from "../../../helpers/fakes/fake-system.ts";

const expected = (change: Partial<Expected> = {}): Expected => ({
  health: [],
  units: ["nftables.service"],
  placed: [],
  scripts: false,
  ...change,
});

async function check(system: FakeSystem, change: Partial<Expected> = {}) {
  const { shell, asked } = fakeSystem(system);
  const options = { log: silentLog, signal: new AbortController().signal, slow: 0 };
  const results = await systemChecks(expected(change), shell, options);
  const failed = results.filter(({ ok }) => !ok);
  return { results, failed, asked, of: (name: string) => results.find((one) => one.check === name) };
}

const verified = "the packages' files are as they were packed";
const failedUnit = { ActiveState: "failed", Result: "exit-code", ExecMainStatus: "1" };

describe("systemChecks", () => {
  it("is content with a system where nothing has failed, each program bound in time", async () => {
    const { results, failed, asked } = await check({});
    expect(failed).toEqual([]);
    expect(results.map(({ check: name, detail }) => [name, detail])).toEqual([
      ["no unit has failed", "passed"],
      ["unit nftables.service", "passed"],
      ["every filesystem is mounted", "passed"],
      ["dpkg has nothing to complain of", "passed"],
      [verified, "passed"],
      ["the machine has an identity of its own", "passed"],
      ["the units stay as they are", "passed"],
    ]);
    expect(asked).toContain("timeout 180 systemctl is-system-running --wait");
    expect(asked).toContain("timeout 120 dpkg --verify");
  });

  it("names an enabled service that has failed, with the end of its journal", async () => {
    const says = "[    9.1] nft[300]: /etc/nftables.conf:4:1-3: Error: syntax error";
    const { failed } = await check({
      units: { "nftables.service": failedUnit },
      failed: ["nftables.service"],
      journals: { "nftables.service": `${says}\n` },
    });
    expect(failed.map(({ check: name, detail }) => [name, detail])).toEqual([
      ["no unit has failed", `nftables.service\nnftables.service:\n  ${says}`],
      ["unit nftables.service", `it has failed (exit-code, status 1)\n  ${says}`],
    ]);
  });

  it("names a filesystem that may be missing, and is", async () => {
    const fstab = [
      "# one that may be missing",
      "UUID=a / ext4 errors=remount-ro 0 1",
      "UUID=b /srv ext4 nofail 0 2",
      "UUID=c /srv/my\\040files/ ext4 nofail 0 2",
      "UUID=d /backup ext4 noauto 0 2",
      "UUID=e /mnt/later ext4 nofail,x-systemd.automount 0 2",
      "/swapfile none swap sw 0 0",
      "",
    ].join("\n");
    const mounted = (...points: string[]) =>
      points.map((point) => `23 1 254:3 / ${point} rw - ext4 /dev/vda3 rw\n`).join("");
    const found = async (mountinfo: string) => {
      const answers = { "cat /etc/fstab": { stdout: fstab }, "cat /proc": { stdout: mountinfo } };
      return (await check({ answers })).failed.map(({ check: name, detail }) => [name, detail]);
    };
    expect(await found(mounted("/", "/srv", "/srv/my\\040files"))).toEqual([]);
    expect(await found(mounted("/"))).toEqual([
      ["every filesystem is mounted", "nothing is mounted at /srv, /srv/my files, which /etc/fstab names"],
    ]);
  });

  it("names what has failed beside the enabled units", async () => {
    const { failed } = await check({ failed: ["certbot.service"] });
    expect(failed.map(({ check: name }) => name)).toEqual(["no unit has failed"]);
    expect(failed[0]!.detail).toMatch(/^certbot\.service\n/);
  });

  it("does not wait for a start that does not end, and says what it waits for", async () => {
    const { failed } = await check({
      answers: {
        "systemctl is-system-running": { code: 124 },
        "systemctl list-jobs": { stdout: "12 slow.service start running\n" },
      },
    });
    expect(failed[0]!.detail).toMatch(
      /not finished starting after 180 s; .*\n12 slow\.service start running$/,
    );
  });

  it("says what a user without rights could not see, instead of that it is well", async () => {
    const refused = { code: 1, stderr: "Failed to connect to bus: Permission denied\n" };
    const { of, failed } = await check({
      answers: {
        "systemctl is-system-running": refused,
        "systemctl show": refused,
        "dpkg --verify": { stdout: "?????????   /usr/lib/x\nmissing     /usr/lib/y (Permission denied)\n" },
      },
    });
    const why = "not checked: Failed to connect to bus: Permission denied";
    expect(failed).toEqual([]);
    expect(of("no unit has failed")?.detail).toBe(why);
    expect(of("unit nftables.service")?.detail).toBe(why);
    expect(of(verified)?.detail).toBe("not checked: 2 files that this user may not read");
  });

  it("takes a lost connection for a failed check, and goes on", async () => {
    const { failed, results } = await check({ answers: { "dpkg --audit": new Fail("the link was lost") } });
    expect(failed).toMatchObject([{ check: "dpkg has nothing to complain of", detail: "the link was lost" }]);
    expect(results).toHaveLength(7);
  });

  it("tells what dpkg complains of", async () => {
    const { failed } = await check({ answers: { "dpkg --audit": { stdout: "half-configured: x\n" } } });
    expect(failed).toMatchObject([{ detail: "half-configured: x" }]);
  });

  it("finds a packaged file that is another, unless the definition places it or a script may have", async () => {
    const answers = {
      "dpkg --verify": {
        code: 1,
        stdout: "??5??????   /usr/bin/x\n??5?????? c /etc/x\nmissing     /usr/lib/y\n",
      },
    };
    const other = await check({ answers });
    expect(other.failed).toMatchObject([{ check: verified, detail: "2 are not: /usr/bin/x, /usr/lib/y" }]);
    const own = await check({ answers }, { placed: ["/usr/bin/x", "/usr/lib/y"] });
    expect(own.failed).toEqual([]);
    const scripts = await check({ answers }, { scripts: true });
    expect(scripts.of(verified)).toMatchObject({
      ok: true,
      detail: expect.stringMatching(/^not checked: the definition's scripts .* \/usr\/bin\/x/),
    });
  });

  it("says when a check of all files did not end in its time", async () => {
    const { of } = await check({ answers: { "dpkg --verify": { code: 124 } } });
    expect(of(verified)?.detail).toBe("not checked: not all: it took longer than 120 s");
  });

  it.each([
    ["was started again", { NRestarts: "1" }, "it ended meanwhile, and was started again"],
    ["failed", failedUnit, "it has failed (exit-code, status 1)"],
    ["is about to be started again", { ActiveState: "activating", SubState: "auto-restart" }, "auto-restart"],
  ])("finds a unit that was active at first and then %s (F21)", async (_what, then, says) => {
    const { failed } = await check({ units: { "nftables.service": [{}, then] } });
    expect(failed.map(({ check: name }) => name)).toEqual(["the units stay as they are"]);
    expect(failed[0]!.detail).toMatch(`nftables.service: `);
    expect(failed[0]!.detail).toMatch(says);
  });

  it("runs the definition's health checks, a unit only once", async () => {
    const { results } = await check(
      {},
      {
        health: [
          { type: "unit", unit: "nftables.service", withinSeconds: 1 },
          { type: "command", argv: ["true"], withinSeconds: 1 },
        ],
      },
    );
    expect(results.filter(({ check: name }) => name.startsWith("unit "))).toHaveLength(1);
    expect(results.map(({ check: name }) => name)).toContain("command true");
  });
});

describe("changedFiles", () => {
  it("reads dpkg's lines, and leaves configuration files to whoever keeps the machine", () => {
    expect(
      changedFiles(
        [
          "??5??????   /usr/bin/with space",
          "missing   c /etc/gone",
          "missing     /usr/lib/gone",
          "missing     /usr/lib/gone2 (No such file or directory)",
          "missing     /var/lib/closed (Permission denied)",
          "dpkg: warning: something",
          "",
        ].join("\n"),
      ),
    ).toEqual({
      changed: ["/usr/bin/with space", "/usr/lib/gone", "/usr/lib/gone2"],
      unread: 1,
    });
  });
});

describe("expectedOf", () => {
  it("takes what is enabled but templates, and every file that the definition places", () => {
    const spec = serverSpec({
      services: {
        "nginx.service": { state: "enabled" },
        "x.timer": { state: "enabled" },
        "getty@tty2.service": { state: "enabled" },
        "backup@.service": { state: "enabled", unit: "[Service]" },
        "old.service": { state: "disabled" },
      },
      files: { "/lib/x": { content: "" } },
      templates: { "/etc/t": { text: "", values: {} } },
      patches: [{ name: "p", diff: "--- a/etc/p\n+++ b/etc/p\n@@ -1 +1 @@\n-a\n+b\n" }],
      secrets: { s: { file: "s.age", path: "/etc/s" }, other: { file: "o.age" } },
    });
    expect(expectedOf(spec, ["/etc/f"])).toEqual({
      health: [],
      units: ["nginx.service", "x.timer", "getty@tty2.service"],
      placed: ["/etc/f", "/etc/p", "/etc/s", "/etc/t", "/usr/lib/x"],
      scripts: false,
    });
  });
});
