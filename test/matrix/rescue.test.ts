import {
  closeSync,
  cpSync,
  openSync,
  readFileSync,
  readSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { baseTree } from "../../src/operator/base/base.ts";
import { RecoveryReport } from "../../src/schema/report.ts";
import { toolRun } from "../../src/system/door/chroot.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { type Machine, type MachineOptions, openLab, type TestLab } from "../../src/testing/index.ts";
import { silentLog } from "../../src/util/log.ts";
import { imgbuild } from "../helpers/imgbuild.ts";
import {
  blank,
  bootSeconds,
  definition,
  isLocked,
  isUp,
  madeMedium,
  mediumComesUp,
} from "../helpers/labs/bare-medium.ts";

let lab: TestLab;

beforeEach(async () => {
  lab = await openLab();
});
afterEach(async () => {
  await lab.close();
});

async function isoComesUp(
  bus: "cdrom" | "usb",
  firmware: Required<MachineOptions>["firmware"],
  first: "medium" | "disk" = "medium",
): Promise<Machine> {
  const file = { file: await madeMedium(lab, "iso"), format: "raw" as const };
  const medium = { file, serial: "MEDIUM", bus, readOnly: true };
  return await mediumComesUp(lab, {
    firmware,
    disks: first === "medium" ? [medium, blank] : [blank, medium],
  });
}

describe("rescue-iso-bios", () => {
  it("starts from a disc by BIOS", async () => {
    await isoComesUp("cdrom", "bios");
  });
});

describe("rescue-iso-uefi", () => {
  it("starts from a disc by UEFI", async () => {
    const machine = await isoComesUp("cdrom", "uefi");
    expect(machine.console.text).toMatch(/efi: EFI v/);
  });
});

describe("rescue-iso-secure", () => {
  it("starts from a disc by firmware that trusts Microsoft's keys alone, and the kernel is locked down", async () => {
    const machine = await isoComesUp("cdrom", "secure-boot");
    expect(machine.console.text).toMatch(isLocked);
  });
});

describe("rescue-iso-usb", () => {
  it("starts from a USB disk by BIOS", async () => {
    await isoComesUp("usb", "bios");
  });
  it("starts from a USB disk by firmware that trusts Microsoft's keys alone", async () => {
    const machine = await isoComesUp("usb", "secure-boot");
    expect(machine.console.text).toMatch(isLocked);
  });
});

describe("rescue-recover", () => {
  it("rebuilds a server of a blank disk from the network, by BIOS, once its passphrase is typed", async () => {
    const junit = join(lab.directory, "drill.xml");
    const report = join(lab.directory, "drill.json");
    const { code, stdout, stderr } = await imgbuild(
      [
        "rescue",
        "--test",
        "imgbuild/notes",
        "-i",
        "secrets/demo-identity.txt",
        "--firmware",
        "bios",
        "--junit",
        junit,
        "--report",
        report,
      ],
      { env: process.env, timeoutMs: 1_800_000 },
    );
    expect(code, `${stdout}${stderr}`).toBe(0);
    expect(stdout).toMatch(/notes is back after .*; (\d+) of \1 checks passed/);
    expect(readFileSync(junit, "utf8")).toContain('failures="0"');
    const { outcome, medium, hostKeys, tests } = RecoveryReport.parse(
      JSON.parse(readFileSync(report, "utf8")),
    );
    expect({ outcome, hostKeys }).toEqual({ outcome: "done", hostKeys: "new" });
    expect(medium).toMatchObject({ offline: false });
    expect(tests.length).toBeGreaterThan(0);
    expect(readFileSync(join(lab.directory, "drill.html"), "utf8")).toContain("Passed: notes was back after");
  });
});

describe("rescue-damaged", () => {
  const outside = () => ({
    ...{ env: process.env, cache: cacheRoot(process.env), log: silentLog },
    signal: new AbortController().signal,
  });
  /** Where a file's content is in an image, in bytes. */
  async function placeOf(path: string): Promise<{ start: number; size: number }> {
    const { tree } = await baseTree(outside());
    const argv = ["xorriso", "-no_rc", "-indev", "/work/medium.iso", "-find", path, "-exec", "report_lba"];
    const { stdout } = await toolRun(tree, argv, { binds: [{ from: lab.directory, to: "/work" }] });
    const [, lba, size] = /^File data lba: +0 , +(\d+) , +\d+ , +(\d+) , /m.exec(stdout)!;
    return { start: Number(lba) * 2048, size: Number(size) };
  }

  it.each([
    // It stands still before it knows a serial console.
    ["the kernel", "/imgbuild/base/kernel", undefined, false],
    ["the base", "/imgbuild/base/squashfs", /FAILED: .*damaged|SQUASHFS error|cannot start/i, true],
    [
      "what came with the boot entry",
      "/imgbuild/hosts/bios-gpt/medium.cpio",
      /the medium is damaged: rescue\.cjs of its medium\.cpio; no disk was written/,
      true,
    ],
    ["the tree", "/imgbuild/hosts/bios-gpt/tree.tar.zst", /FAILED: .*tree\S* on the medium is damaged/, true],
  ] as const)(
    "notices one flipped byte in %s before the first write (F49)",
    async (_what, path, message, asks) => {
      const iso = join(lab.directory, "medium.iso");
      const made = await imgbuild(["rescue", definition, "-o", iso, "--offline"], {
        env: process.env,
        timeoutMs: 1_800_000,
      });
      expect(made.code, made.stderr).toBe(0);
      const { start, size } = await placeOf(path);
      const at = start + Math.floor(size / 2);
      const file = openSync(iso, "r+");
      const byte = Buffer.alloc(1);
      readSync(file, byte, 0, 1, at);
      writeSync(file, Buffer.from([byte[0]! ^ 0x10]), 0, 1, at);
      closeSync(file);
      const disk = join(lab.directory, "disk.raw");
      writeFileSync(disk, "");
      truncateSync(disk, blank.sizeBytes);
      const machine = await lab.machine({
        ...{ name: "rescue", memoryMib: 1024, shell: false, firmware: "bios" as const },
        disks: [
          { file: { file: iso, format: "raw" }, serial: "MEDIUM", bus: "cdrom", readOnly: true },
          { file: { file: disk, format: "raw" }, serial: blank.serial },
        ],
      });
      await machine.start();
      if (asks) {
        const asked = await machine.waitForConsole(
          /Type a number: |the medium is damaged|cannot start|SQUASHFS error|the runner ended 5 times/,
          {
            withinSeconds: bootSeconds,
          },
        );
        if (asked[0].startsWith("Type")) {
          machine.type("1\n");
          await machine.waitForConsole(/Type the serial .*: /, { withinSeconds: 60 });
          machine.type(`${blank.serial}\n`);
        }
      }
      if (message !== undefined) await machine.waitForConsole(message, { withinSeconds: bootSeconds });
      else
        await expect(machine.waitForConsole(isUp, { withinSeconds: 15 })).rejects.toThrow(
          "the console did not show",
        );
      await machine.crash();
      await run(["cmp", "-n", String(blank.sizeBytes), disk, "/dev/zero"], { timeoutMs: 120_000 });
    },
  );
});

describe("rescue-live", () => {
  it("takes a deploy over SSH, as any live system does, and becomes the new system", async () => {
    // The disk starts as soon as there is something on it.
    const machine = await isoComesUp("cdrom", "bios", "disk");
    const [, fingerprint] = await machine.waitForConsole(/host key (SHA256:[A-Za-z0-9+/]{43})/, {
      withinSeconds: bootSeconds,
    });
    const port = await machine.forward(22);
    const known = join(lab.directory, "known_hosts");
    const config = join(lab.directory, "ssh_config");
    const key = join(lab.directory, "key");
    const { stdout: scanned } = await run(["ssh-keyscan", "-p", String(port), "-t", "ed25519", "127.0.0.1"], {
      timeoutMs: 60_000,
    });
    writeFileSync(known, scanned);
    const { stdout: seen } = await run(["ssh-keygen", "-l", "-f", known], { timeoutMs: 60_000 });
    expect(seen).toContain(fingerprint);
    writeFileSync(key, readFileSync("secrets/demo-admin-key"), { mode: 0o600 });
    writeFileSync(
      config,
      `Host target\n  HostName 127.0.0.1\n  Port ${port}\n  User root\n  IdentityFile ${key}\n  IdentityAgent none\n`,
    );
    const { code, stdout, stderr } = await imgbuild(
      [
        ...[
          "deploy",
          withNewHostKeys(),
          "target",
          "--ssh-config",
          config,
          "--known-hosts",
          known,
          "--unattended",
        ],
        ...["--yes-wipe", blank.serial, "--slow", String(machine.scale)],
      ],
      { env: process.env, timeoutMs: 3_600_000 },
    );
    expect(code, `${stdout}${stderr}`).toBe(0);
    expect(stderr).toContain("the host runs from memory or the network");
  });
});

/** The definition for a host whose own keys are not the machine's. */
function withNewHostKeys(): string {
  const to = "out/live/server";
  cpSync(definition, to, { recursive: true });
  const common = readFileSync("imgbuild/layouts/common.ts", "utf8");
  writeFileSync(
    "out/live/common.ts",
    common.replace("    hostname,\n", '    hostname,\n    hostKeys: "new",\n'),
  );
  return to;
}
