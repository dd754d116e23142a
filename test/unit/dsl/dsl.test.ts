import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as dsl from "../../../src/dsl/index.ts";
import { Spec } from "../../../src/schema/spec.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

describe("image", () => {
  it("gives plain data that says the same as writing it by hand", () => {
    const definition = dsl.image({
      hostname: "web",
      storage: {
        disks: {
          system: dsl.disk({ match: { serial: "A" }, table: dsl.gpt(dsl.biosBoot(), dsl.esp(), dsl.root()) }),
        },
      },
      boot: {},
      network: { all: dsl.dhcp("en*") },
      health: [dsl.unitIsActive("ssh.service"), dsl.portIsOpen(22, { withinSeconds: 5 })],
    });
    expect(JSON.parse(JSON.stringify(definition))).toEqual(definition);
    expect(definition).toEqual({
      hostname: "web",
      storage: {
        disks: {
          system: {
            match: { serial: "A" },
            table: {
              type: "gpt",
              partitions: [
                { name: "bios", type: "bios-boot", size: "1MiB" },
                { name: "esp", type: "esp", size: "256MiB", content: { type: "vfat", mount: "/efi" } },
                { name: "root", type: "linux-root", size: "rest", content: { type: "ext4", mount: "/" } },
              ],
            },
          },
        },
      },
      boot: {},
      network: { all: { match: { name: "en*" }, dhcp: "yes" } },
      health: [
        { type: "unit", unit: "ssh.service" },
        { type: "port", port: 22, withinSeconds: 5 },
      ],
    });
    expect(Spec.safeParse(definition).success).toBe(true);
  });
});

describe("storage", () => {
  it("lets everything but the type be said otherwise", () => {
    expect(dsl.esp({ name: "boot", size: "1GiB", label: "EFI", options: ["noauto"] })).toEqual({
      name: "boot",
      type: "esp",
      size: "1GiB",
      content: { type: "vfat", mount: "/efi", label: "EFI", options: ["noauto"] },
    });
    expect(dsl.root({ size: "8GiB", label: "sys" })).toMatchObject({
      name: "root",
      size: "8GiB",
      content: { mount: "/", label: "sys" },
    });
  });

  it("names kept filesystems by UUID", () => {
    const uuid = "7f1d9a54-3c0e-4b6a-9d58-2f6b1c8e4a90";
    expect(dsl.keptDisk({ match: { serial: "B" }, keep: [dsl.keptExt4({ uuid, mount: "/srv" })] })).toEqual({
      match: { serial: "B" },
      keep: [{ type: "ext4", uuid, mount: "/srv" }],
    });
  });
});

describe("health", () => {
  it("says what is asked, with all else left to its default", () => {
    const health = [
      dsl.httpAnswers("https://www.example.org/", { status: [200, 301], certificate: { days: 14 } }),
      dsl.resolves("example.org", { record: "MX", server: "127.0.0.1" }),
      dsl.noFailedUnits({ withinSeconds: 5 }),
    ];
    expect(health).toEqual([
      { type: "http", url: "https://www.example.org/", status: [200, 301], certificate: { days: 14 } },
      { type: "dns", name: "example.org", record: "MX", server: "127.0.0.1" },
      { type: "no-failed-units", withinSeconds: 5 },
    ]);
    expect(Spec.parse({ hostname: "web", health }).health).toMatchObject([
      { address: "localhost", withinSeconds: 60 },
      { withinSeconds: 60 },
      {},
    ]);
  });

  it.each([
    [dsl.httpAnswers("http://www.example.org/", { certificate: { days: 14 } }), /needs a `url` of https/],
    [dsl.httpAnswers("ftp://www.example.org/"), /URL/],
    [dsl.httpAnswers("https://www.example.org/", { certificate: { sha256: "ab" } }), /AA:BB/],
    [dsl.resolves("a b"), /a name such as/],
    [dsl.resolves("www.example.org", { server: "192.0.2.1/24" }), /a host name or an address/],
  ])("is refused where it cannot be asked", (check, message) => {
    expect(Spec.safeParse({ hostname: "web", health: [check] }).error?.message).toMatch(message);
  });
});

describe("services", () => {
  it("timer makes a oneshot service and an enabled timer for it", () => {
    const units = dsl.timer({
      unit: "stamp",
      onCalendar: "hourly",
      exec: "/usr/bin/touch /run/stamp",
      user: "www-data",
    });
    expect(units).toEqual({
      "stamp.service": {
        unit: "[Unit]\nDescription=stamp\n\n[Service]\nType=oneshot\nUser=www-data\nExecStart=/usr/bin/touch /run/stamp\n",
      },
      "stamp.timer": {
        state: "enabled",
        unit: "[Unit]\nDescription=stamp\n\n[Timer]\nOnCalendar=hourly\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n",
      },
    });
  });

  it("timer runs at a time after each start too, where asked", () => {
    const units = dsl.timer({ unit: "stamp", onCalendar: "hourly", onBoot: "5s", exec: "/usr/bin/true" });
    expect(units["stamp.timer"]?.unit).toContain("\nOnCalendar=hourly\nOnBootSec=5s\nPersistent=true\n");
  });

  it("timer waits for a part of a span, where asked", () => {
    const units = dsl.timer({ unit: "a", onCalendar: "daily", randomizedDelay: "1h", exec: "/usr/bin/true" });
    expect(units["a.timer"]?.unit).toContain("\nOnCalendar=daily\nRandomizedDelaySec=1h\nPersistent=true\n");
  });

  it("unit is enabled unless told otherwise", () => {
    expect(dsl.unit("[Unit]\n")).toEqual({ state: "enabled", unit: "[Unit]\n" });
    expect(dsl.unit("[Unit]\n", { state: "disabled" })).toMatchObject({ state: "disabled" });
  });
});

describe("text", () => {
  it("readLines leaves out comments, empty lines and spaces around", () => {
    const dir = tempDir();
    mkdirSync(join(dir, "keys"));
    const file = join(dir, "keys/a.pub");
    writeFileSync(file, "# admin\n\n  ssh-ed25519 AAAA one \r\nssh-ed25519 BBBB two");
    expect(dsl.readLines(file)).toEqual(["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"]);
    expect(dsl.readText(file)).toContain("# admin\n");
  });

  it("a missing file is an error that names it", () => {
    expect(() => dsl.readText(join(tempDir(), "none.txt"))).toThrow(/none\.txt/);
  });
});
