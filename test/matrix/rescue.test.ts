import { createReadStream } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Machine, type MachineOptions, openLab, type TestLab } from "../../src/testing/index.ts";
import { imgbuild } from "../helpers/imgbuild.ts";
import { web } from "../helpers/labs/web.ts";

const definition = "imgbuild/layouts/bios-gpt";
const isUp = /imgbuild: the base is up after/;
/** The kernel's stub, its start and its lockdown each say it. */
const isLocked =
  /UEFI Secure Boot is enabled|secureboot: Secure boot enabled|locked down from EFI Secure Boot/;
const blank = { serial: "BIOS-GPT-1", sizeBytes: 4 * 2 ** 30 };
/** Firmware, GRUB, and 110 MiB from an emulated drive or network. */
const bootSeconds = 120;
/** A hundred packages of the network, or a tree of the medium. */
const buildSeconds = 600;

let lab: TestLab;

beforeEach(async () => {
  lab = await openLab();
});
afterEach(async () => {
  await lab.close();
});

async function made(
  format: "iso" | "pxe",
  of: string = definition,
  more: readonly string[] = [],
): Promise<string> {
  const output = join(lab.directory, `medium.${format}`);
  const { code, stderr } = await imgbuild(["rescue", of, "-o", output, "--format", format, ...more], {
    env: process.env,
    timeoutMs: 600_000,
  });
  expect(code, stderr).toBe(0);
  return output;
}

/** The base of the medium is up in a machine whose own disk is blank. */
async function comesUp(how: Omit<MachineOptions, "name">): Promise<Machine> {
  const machine = await lab.machine({ name: "rescue", memoryMib: 1024, shell: false, ...how });
  await machine.start();
  await machine.waitForConsole(isUp, { withinSeconds: bootSeconds });
  return machine;
}

async function isoComesUp(
  bus: "cdrom" | "usb",
  firmware: Required<MachineOptions>["firmware"],
): Promise<Machine> {
  const file = { file: await made("iso"), format: "raw" as const };
  const medium = { file, serial: "MEDIUM", bus, readOnly: true };
  return await comesUp({ firmware, disks: [medium, blank] });
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

/** Somebody at the serial console rebuilds the machine, whose own disk comes first; gives its system, started from that disk. */
async function recovered(how: {
  readonly of: string;
  readonly more?: readonly string[];
  readonly serial: string;
  readonly passphrase?: string;
  readonly machine: Omit<MachineOptions, "name" | "disks">;
}): Promise<Machine> {
  const { of, more = [], serial, passphrase, machine: shape } = how;
  const file = { file: await made("iso", of, more), format: "raw" as const };
  const own = { serial, sizeBytes: 4 * 2 ** 30 };
  const machine = await lab.machine({
    ...{ name: "rescue", memoryMib: 1024, ...shape },
    disks: [own, { file, serial: "MEDIUM", bus: "cdrom", readOnly: true }],
  });
  await machine.start();
  const answer = async (question: RegExp, text: string, withinSeconds: number) => {
    await machine.waitForConsole(question, { withinSeconds, after: asked });
    asked = machine.console.mark();
    machine.type(`${text}\n`);
  };
  let asked = 0;
  await answer(/Type a number: /, "1", bootSeconds);
  if (passphrase !== undefined) await answer(/Passphrase of the medium .*: /, passphrase, 30);
  await answer(/Type the serial of the disk to be wiped .*: /, serial, 60);
  await answer(/press Enter; in \d+ s/, "", buildSeconds);
  await machine.boot({ withinSeconds: bootSeconds });
  return machine;
}

describe("rescue-recover", () => {
  it("rebuilds a machine of a blank disk from the network, by BIOS", async () => {
    const machine = await recovered({ of: definition, serial: "BIOS-GPT-1", machine: { firmware: "bios" } });
    expect(await machine.succeed("hostname")).toBe("bios-gpt");
    expect(await machine.succeed("systemctl --failed --no-legend")).toBe("");
    expect(await machine.succeed("findmnt -no FSTYPE /var")).toBe("ext4");
    expect(await machine.succeed("ls /etc/ssh/ssh_host_*_key")).toBe("/etc/ssh/ssh_host_ed25519_key");
  });
});

describe("rescue-recover-offline", () => {
  it("rebuilds a machine that has no network card, by UEFI, and its firmware starts the new system", async () => {
    const machine = await recovered({
      ...{ of: "imgbuild/layouts/both-firmwares", more: ["--offline"], serial: "BOTH-1" },
      machine: { firmware: "uefi", nics: [] },
    });
    expect(await machine.succeed("hostname")).toBe("both-firmwares");
    expect(
      await machine.succeed("systemctl --failed --no-legend | grep -v networkd-wait-online || true"),
    ).toBe("");
    expect(await machine.succeed("ls /etc/ssh/ssh_host_*_key")).toBe("/etc/ssh/ssh_host_ed25519_key");
  });
});

describe("rescue-pxe", () => {
  it("starts by iPXE from a web server on loopback", async () => {
    const directory = await made("pxe");
    const server = await web((request, response) => {
      const file = createReadStream(join(directory, (request.url ?? "").replaceAll("..", "")));
      file.on("error", () => response.writeHead(404).end());
      file.on("open", () => file.pipe(response));
    });
    const bootFile = `${server.url.replace("127.0.0.1", "10.0.2.2")}/boot.ipxe`;
    await comesUp({ disks: [blank], nics: [{ network: "internet", segments: [{ bootFile }] }] });
    expect(server.asked).toEqual(["/boot.ipxe", "/kernel", "/hosts/bios-gpt/initrd"]);
  });
});
