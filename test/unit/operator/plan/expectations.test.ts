import { describe, expect, it } from "vitest";
import { timer, unit } from "../../../../src/dsl/services.ts";
import { unitLines, valuesOf } from "../../../../src/operator/check/unit-text.ts";
import { expectedOfPackages, expectedOfTree } from "../../../../src/operator/plan/expectations.ts";
import { Spec, type SpecInput } from "../../../../src/schema/spec.ts";

const spec = (change: Partial<SpecInput>) => Spec.parse({ hostname: "web", ...change });
const shown = (expected: ReturnType<typeof expectedOfTree>) =>
  expected.map(({ path, kind, name }) => `${path.join(".")}: ${kind} ${name}`);

describe("expectedOfPackages", () => {
  it("is time zone, locale, shells, groups and owners that no definition makes", () => {
    const found = expectedOfPackages(
      spec({
        timezone: "Europe/Berlin",
        locale: "de_DE.UTF-8",
        users: { a: { groups: ["adm", "b"] }, b: { shell: "/usr/bin/zsh" } },
        files: { "/etc/a": { content: "", owner: "a", group: "www-data" } },
      }),
    );
    expect(shown(found)).toEqual([
      "timezone: time zone Europe/Berlin",
      "locale: locale de_DE.UTF-8",
      "users.a.shell: program /bin/bash",
      "users.a.groups.0: group adm",
      "users.b.shell: program /usr/bin/zsh",
      "files./etc/a.group: group www-data",
    ]);
    expect(expectedOfPackages(spec({}))).toEqual([]);
  });

  it("is what users of services need, and not those users themselves", () => {
    const found = expectedOfPackages(
      spec({
        sysusers: { app: { shell: "/bin/sh", groups: ["adm", "shared"] }, shared: { user: false } },
        users: { a: { groups: ["shared"] } },
        files: { "/etc/a": { content: "", owner: "app", group: "shared" } },
      }),
    );
    expect(shown(found)).toEqual([
      "users.a.shell: program /bin/bash",
      "sysusers: program systemd-sysusers",
      "sysusers.app.shell: program /bin/sh",
      "sysusers.app.groups.0: group adm",
    ]);
  });
});

describe("expectedOfTree", () => {
  const of = (change: Partial<SpecInput>) => shown(expectedOfTree(spec(change)));

  it("is what words of the definition need", () => {
    expect(of({ modules: { load: ["loop"] }, sshd: {}, firewall: {}, tmpfiles: ["d /run/a"] })).toEqual([
      "modules.load.0: kernel module loop",
      "sshd: sshd configuration /etc/ssh/sshd_config",
      "firewall: nftables rules /etc/nftables.conf",
      "tmpfiles: tmpfiles.d lines /etc/tmpfiles.d/imgbuild.conf",
    ]);
  });

  it("is units that are no unit of the definition's own, also those of health checks", () => {
    const services = {
      "own.service": unit("[Service]\nType=oneshot\n"),
      "a.service": { state: "masked" as const },
    };
    expect(of({ services: { ...services, "b.timer": { state: "enabled" } } })).toEqual([
      "services.b.timer: unit b.timer",
    ]);
    const health = ["own.service", "c.service", "srv.mount"].map((name) => ({
      type: "unit" as const,
      unit: name,
    }));
    expect(of({ services, health })).toEqual(["health.1.unit: unit c.service"]);
  });

  it("is programs, users and calendar events of units of its own", () => {
    expect(
      of({
        services: timer({ unit: "stamp", onCalendar: "hourly", exec: "/usr/bin/stamp -x", user: "stamper" }),
      }),
    ).toEqual([
      "services.stamp.service.unit: program /usr/bin/stamp",
      "services.stamp.service.unit: user stamper",
      "services.stamp.timer.unit: calendar event hourly",
    ]);
    const text = (...lines: string[]) => ({
      services: { "x.service": unit(`[Service]\n${lines.join("\n")}\n`) },
    });
    expect(of(text("ExecStart=@/usr/bin/a name", "ExecStartPost=+b \\", " c", "Group=log"))).toEqual([
      "services.x.service.unit: program /usr/bin/a",
      "services.x.service.unit: program b",
      "services.x.service.unit: group log",
    ]);
  });

  it("leaves out what may come from elsewhere or later", () => {
    const text = (...lines: string[]) => ({
      services: { "x.service": unit(`[Service]\n${lines.join("\n")}\n`) },
    });
    for (const line of [
      "ExecStart=-/usr/bin/a",
      "ExecStart=/var/lib/app/bin",
      "ExecStart=/usr/bin/%i",
      "User=1000",
    ])
      expect(of(text(line)), line).toEqual([]);
    expect(of(text("DynamicUser=yes", "User=app"))).toEqual([]);
    expect(of(text("ExecStart=/opt/app", "[Unit]", "ConditionPathExists=/opt/app"))).toEqual([]);
    expect(of(text("ExecStart=/usr/bin/a", "ExecStart=", "ExecStart=/usr/bin/b"))).toEqual([
      "services.x.service.unit: program /usr/bin/b",
    ]);
  });

  it("is the program of a health check, and who owns a secret", () => {
    expect(
      of({
        health: [{ type: "command", argv: ["/usr/bin/curll", "x"] }],
        secrets: { token: { file: "t.age", path: "/etc/t", group: "www-data" }, other: { file: "o.age" } },
      }),
    ).toEqual(["secrets.token.group: group www-data", "health.0.argv.0: program /usr/bin/curll"]);
  });
});

describe("unitLines", () => {
  it("reads sections, lines that go on, and comments", () => {
    const lines = unitLines("# c\n[Timer]\nOnCalendar = Mon \\\n  10:00\n; d\n[Service]\nOnCalendar=x\n");
    expect(valuesOf(lines, "Timer", "OnCalendar")).toEqual(["Mon  10:00"]);
  });
});
