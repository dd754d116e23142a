import { describe, expect, it } from "vitest";
import { clockToleranceMs } from "../../../../src/archive/payload.ts";
import { loadDefinition } from "../../../../src/operator/definition/load.ts";
import { needsOf } from "../../../../src/operator/inspect/needs.ts";
import { isGo, type PreflightInput, preflight } from "../../../../src/operator/inspect/preflight.ts";
import { chooseWay } from "../../../../src/operator/takeover/ways/choose.ts";
import type { Facts } from "../../../../src/schema/facts.ts";
import type { SpecInput } from "../../../../src/schema/spec.ts";
import { machineFacts, serverSpec } from "../../../helpers/builders/deployable.ts";
import { diskFacts } from "../../../helpers/builders/storage.ts";

const mib = 2 ** 20;

function judge(
  facts: Partial<Facts> = {},
  change: Partial<PreflightInput> = {},
  spec: Partial<SpecInput> = {},
) {
  const { baseBytes = 100 * mib } = change;
  return preflight({
    spec: serverSpec(spec),
    facts: machineFacts(facts),
    baseBytes,
    takeover: chooseWay(machineFacts(facts), { baseMib: Math.ceil(baseBytes / mib) }),
    network: { problems: [], left: [] },
    host: { check: "host", verdict: "go", detail: "the definition is for this one" },
    diskProblem: undefined,
    mirror: { url: "http://deb.example.org/debian" },
    login: { user: "admin" },
    tried: true,
    room: { has: 3000 * mib, least: 300 * mib, usual: 700 * mib },
    needs: needsOf(serverSpec(spec)),
    disks: { system: diskFacts("vda", { serial: "SYS" }) },
    locked: new Set(["openssh-server"]),
    sshPorts: { ports: [22], sure: true, reached: 22 },
    clock: { now: 1_750_000_000_000, ignored: false },
    ...change,
  });
}

const refused = (findings: ReturnType<typeof judge>) =>
  findings.filter(({ verdict }) => verdict === "no-go").map(({ check, detail }) => `${check}: ${detail}`);

describe("preflight", () => {
  it("goes on where every check passes, and says what it saw", () => {
    const findings = judge();
    expect(isGo(findings)).toBe(true);
    expect(findings.map(({ check, verdict, detail }) => [check, verdict, detail])).toEqual([
      ["root", "go", "logged in as root"],
      ["architecture", "go", "x86_64"],
      ["machine", "go", "Debian GNU/Linux 12 (bookworm), kernel 6.1.0-28-cloud-amd64"],
      ["takeover", "go", "kexec: allowed"],
      [
        "return",
        "go",
        "a base that hangs before the first write is reset by its own kernel's timer after 60 s; before its first program by panic only; this host shows no hardware watchdog that the base drives",
      ],
      ["memory", "go", "4096 MiB in all, 3500 MiB available; needed 620 and 248 MiB"],
      ["clock", "go", "the host's clock says 2025-06-15T15:06:40.000Z"],
      ["firmware", "go", "uefi"],
      ["host", "go", "the definition is for this one"],
      ["room on ESP", "go", "256 MiB; kernels take at least 20, and 132 MiB when apt brings another"],
      ["disks", "go", "each disk of the definition was found exactly once"],
      ["room", "go", "3000 MiB where packages go; the definition takes about 700 MiB"],
      ["network", "go", "can be set up again in the base"],
      ["mirror", "go", "http://deb.example.org/debian answers the target"],
      ["login", "go", "the new system will let you in as admin"],
      ["host keys", "go", "1 kept"],
      ["ssh server", "go", "openssh-server, port 22"],
      ["rehearsal", "go", "this definition was built here before, as it is"],
    ]);
  });

  it.each([
    ["at 1970", 3, /hardware clock says 1970-01-01T00:00:03\.000Z, yours 2025-06-15/],
    ["at 2099", 4_080_000_000, /hardware clock says 2099-04-16/],
    ["beyond all dates", 9e15, /hardware clock says \+275760-09-13/],
    ["two days behind", 1_750_000_000 - 2 * 86_400, /hardware clock says 2025-06-13/],
  ])("refuses a hardware clock %s, and says what to do (F11)", (_what, hardwareClock, message) => {
    // The system's own clock was set by the network, and the base does not begin with it.
    const clock = judge({ hardwareClock }).find(({ check }) => check === "clock");
    expect(clock).toMatchObject({
      verdict: "no-go",
      detail: expect.stringMatching(message),
      hint: "run `hwclock --systohc` on the host, or deploy with --ignore-clock",
    });
    const ignored = judge({ hardwareClock }, { clock: { now: 1_750_000_000_000, ignored: true } });
    expect(ignored.find(({ check }) => check === "clock")?.verdict).toBe("warn");
    expect(isGo(ignored)).toBe(true);
  });

  it("takes a hardware clock that has local time, and one that is right where the system's is not", () => {
    expect(isGo(judge({ hardwareClock: 1_750_000_000 + 14 * 3600 }))).toBe(true);
    expect(isGo(judge({ hardwareClock: 1_750_000_000, clock: 3 }))).toBe(true);
    expect(refused(judge({ clock: 3 }))).toEqual([
      expect.stringContaining("clock: the host's clock says 1970"),
    ]);
  });

  it("only warns where something else may have the SSH server listen at the port that is used", () => {
    const findings = judge({}, { sshPorts: { ports: [22], sure: false, reached: 2200 } });
    expect(isGo(findings)).toBe(true);
    expect(findings.find(({ check }) => check === "ssh server")).toMatchObject({
      verdict: "warn",
      detail: expect.stringMatching(/say port 22, .* at port 2200,/),
    });
  });

  it("refuses a firewall that leaves out the port by which the new system is looked for", () => {
    const reachedAt = (reached: number, firewall: SpecInput["firewall"]) =>
      refused(judge({}, { sshPorts: { ports: [22, 2200], sure: true, reached } }, { firewall }));
    expect(reachedAt(2200, { tcp: [22] })).toEqual([
      expect.stringMatching(/^firewall: the new system's lets nothing in at port 2200,/),
    ]);
    expect(reachedAt(2200, { tcp: [22, "2000-2300"] })).toEqual([]);
    expect(reachedAt(2200, "table inet f {\n}\n")).toEqual([]);
    const own = judge({}, {}, { firewall: "table inet f {\n}\n" });
    expect(own.find(({ check }) => check === "firewall")).toMatchObject({
      verdict: "warn",
      detail: expect.stringMatching(/will be looked for at port 22$/),
    });
    expect(judge().map(({ check }) => check)).not.toContain("firewall");
  });

  it("warns of a console of the host's command line that is left out", () => {
    const findings = judge({ cmdline: ["quiet", 'console="x', "console=ttyS0,115200", "console=y'"] });
    expect(isGo(findings)).toBe(true);
    expect(findings.find(({ check }) => check === "console")).toMatchObject({
      verdict: "warn",
      detail: expect.stringMatching(
        /^the host's command line has console="x console=y', which names no console/,
      ),
    });
  });

  it("warns of a definition that was never built, and of little room, and lets both go on", () => {
    const findings = judge(
      {},
      { tried: false, room: { has: 500 * mib, least: 300 * mib, usual: 700 * mib } },
    );
    expect(isGo(findings)).toBe(true);
    expect(findings.filter(({ verdict }) => verdict === "warn").map(({ check }) => check)).toEqual([
      "room",
      "rehearsal",
    ]);
    expect(findings.at(-1)).toMatchObject({
      detail: expect.stringMatching(
        /^this definition was never built here as it is: .*unit.*group.*locale.*wiped disks$/,
      ),
      hint: "`imgbuild test` it first",
    });
  });

  it("refuses a host without the TPM that the definition's root is opened by, before anything is sent", async () => {
    const { spec } = await loadDefinition("imgbuild/layouts/luks-tpm2");
    const needs = { needs: needsOf(spec), disks: undefined };
    const findings = judge({}, needs);
    expect(isGo(findings)).toBe(false);
    expect(refused(findings)).toEqual([
      "tpm: root is opened by a TPM 2.0 with sha256 registers; the machine shows no TPM",
    ]);
    expect(isGo(judge({ tpm: { version: 2, usable: true, banks: ["sha256"] } }, needs))).toBe(true);
  });

  const noRoot = { user: { uid: 1, becomesRootBy: "impossible" as const } };
  it.each<[string, Partial<Facts>, Partial<PreflightInput>, Partial<SpecInput>, RegExp]>([
    ["nobody who can be root", noRoot, {}, {}, /^root: .*neither sudo nor doas/],
    [
      "an SSH server at other ports than the one that is used",
      {},
      { sshPorts: { ports: [2200, 2201], sure: true, reached: 22 } },
      {},
      /^ssh server: .* on port 2200, 2201 alone; .* at port 22,/,
    ],
    ["no SSH server", {}, { locked: new Set(["nginx"]) }, {}, /^ssh server: the definition installs none/],
    [
      "partitions that cannot hold the packages",
      {},
      { room: { has: 200 * mib, least: 300 * mib, usual: 700 * mib } },
      {},
      /^room: 200 MiB where packages go; .* 700 MiB$/,
    ],
    ["another architecture", { architecture: "aarch64" }, {}, {}, /^architecture: .*aarch64.*x86_64/],
    ["a container", { container: "lxc" }, {}, {}, /^machine: .*container \(lxc\)/],
    ["a Xen PV guest", { container: "xen-pv" }, {}, {}, /^machine: .*xen-pv/],
    [
      "kexec switched off, and no bootloader that could do it (F05)",
      { kexecDisabled: true },
      {},
      {},
      /^takeover: not kexec: kernel\.kexec_load_disabled is 1; not kexec-file: .*; not boot-entry: neither GRUB's/,
    ],
    [
      "lockdown by a kernel that trusts nothing of Debian's (F06)",
      { lockdown: "integrity" },
      {},
      {},
      /^takeover: not kexec: Secure Boot is off and lockdown integrity, .*; not kexec-file: the host trusts no key/,
    ],
    [
      "Secure Boot for a system that is not signed (F06)",
      { secureBoot: true, trustsDebian: true },
      {},
      {},
      /^secure boot: it is on, and the firmware would not start the new system/,
    ],
    [
      "too small a machine (F07)",
      { memoryMib: { total: 619, available: 500 } },
      {},
      {},
      /^memory: 619 MiB.*needed 620/,
    ],
    [
      "too full a machine (F07)",
      { memoryMib: { total: 4096, available: 247 } },
      {},
      {},
      /^memory: .*247 MiB available.*248/,
    ],
    [
      "other firmware",
      { firmware: "bios" },
      {},
      { boot: { firmware: ["uefi"] } },
      /^firmware: .*bios.*serves uefi$/,
    ],
    ["nothing that boots", {}, {}, { boot: undefined }, /^firmware: .*serves none$/],
    [
      "a disk that is not found",
      {},
      { diskProblem: { message: "no disk", hint: "look" } },
      {},
      /^disks: no disk$/,
    ],
    [
      "a network that is lost",
      {},
      { network: { problems: ["a bond", "no card"], left: [] } },
      {},
      /^network: a bond; no card$/,
    ],
    ["no mirror", {}, { mirror: { problem: "none answers" } }, {}, /^mirror: none answers$/],
    ["nobody who could log in", {}, { login: { problem: "no key" } }, {}, /^login: no key$/],
    ["no host keys to keep", { hostKeys: [] }, {}, {}, /^host keys: none were found/],
  ])("refuses %s, for that reason alone, with what to do", (_what, facts, change, spec, message) => {
    const findings = judge(facts, change, spec);
    expect(isGo(findings)).toBe(false);
    const [only, ...more] = refused(findings);
    expect(only).toMatch(message);
    expect(more).toEqual([]);
    const { check, hint } = findings.find(({ verdict }) => verdict === "no-go")!;
    // Nothing makes another machine of it.
    if (!["architecture", "machine"].includes(check)) expect(hint).toMatch(/\S/);
  });

  it("leaves out what it was not given: a judgement of the host, and room on disks that were not found", () => {
    const checks = judge({}, { host: undefined, room: undefined }).map(({ check }) => check);
    expect(checks).not.toContain("host");
    expect(checks).not.toContain("room");
    expect(checks).toEqual(
      judge()
        .map(({ check }) => check)
        .filter((check) => !["host", "room"].includes(check)),
    );
  });

  it.each([
    ["the room that the packages take at least", 300, "warn"],
    ["a little less", 299, "no-go"],
    ["the room that they usually take", 700, "go"],
    ["a little less than usual", 699, "warn"],
  ])("judges a disk with %s: %d MiB", (_what, has, verdict) => {
    const room = { has: has * mib, least: 300 * mib, usual: 700 * mib };
    expect(judge({}, { room }).find(({ check }) => check === "room")?.verdict).toBe(verdict);
  });

  it("takes a clock that is off by as much as the base accepts, and no more", () => {
    const now = 1_750_000_000_000;
    const at = (ms: number) =>
      judge({ hardwareClock: (now - clockToleranceMs - ms) / 1000 }).find(({ check }) => check === "clock");
    expect(at(0)?.verdict).toBe("go");
    expect(at(1000)?.verdict).toBe("no-go");
  });

  it("says to set the host's time first where that is wrong too", () => {
    const hint = judge({ hardwareClock: 3, clock: 3 }).find(({ check }) => check === "clock")?.hint;
    expect(hint).toMatch(/^set the host's time, then run `hwclock --systohc`/);
  });

  it("names every port that the new system's server listens at, or that none is known", () => {
    const detail = (ports: number[]) =>
      judge({}, { sshPorts: { ports, sure: false, reached: 2200 } }).find(
        ({ check }) => check === "ssh server",
      )?.detail;
    expect(detail([22, 2222])).toMatch(/say port 22, 2222,/);
    expect(detail([])).toMatch(/say port unknown,/);
  });

  it("just has memory enough at the limit", () => {
    expect(isGo(judge({ memoryMib: { total: 620, available: 248 } }))).toBe(true);
    expect(isGo(judge({ memoryMib: { total: 620, available: 248 } }, { baseBytes: 100 * mib + 1 }))).toBe(
      false,
    );
  });

  it("wants no memory for two copies of the base where a boot entry starts it, and the disk keeps it (F07)", () => {
    const grub = {
      ...{ loader: "grub" as const, directory: "/boot/grub", fsType: "ext4", plain: true, freeMib: 900 },
      reads: ["custom.cfg", "load_env"],
    };
    const facts = { bootPlaces: [grub], cmdline: ["BOOT_IMAGE=/boot/vmlinuz"], cacheMib: 900 };
    const findings = judge({ ...facts, memoryMib: { total: 700, available: 100 } });
    expect(refused(findings)).toEqual([]);
    expect(findings.find(({ check }) => check === "memory")?.detail).toBe(
      "700 MiB in all, 100 MiB available; needed 620 and 48 MiB",
    );
  });

  it("passes a machine with sudo, with UEFI and without lockdown support, and new host keys where there are none", () => {
    const findings = judge(
      { user: { uid: 1, becomesRootBy: "sudo" }, lockdown: "", hostKeys: [] },
      {},
      { hostKeys: "new" },
    );
    expect(isGo(findings)).toBe(true);
    expect(findings.find(({ check }) => check === "root")?.detail).toBe("by sudo");
    expect(findings.find(({ check }) => check === "host keys")?.detail).toBe("from the definition");
  });

  it("names the hardware watchdog that resets a base that hangs, where the base drives it", () => {
    const detail = (watchdogs: string[]) =>
      judge({ watchdogs }).find(({ check }) => check === "return")?.detail;
    expect(detail(["iTCO_wdt", "i6300ESB timer"])).toBe(
      "a base that hangs before the first write is reset by the hardware watchdog (i6300ESB timer) after 60 s; before its first program by panic only",
    );
    expect(detail(["Software Watchdog", "iTCO_wdt"])).toContain("by its own kernel's timer");
  });
});
