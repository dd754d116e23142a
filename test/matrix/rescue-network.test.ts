import { createReadStream, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Machine, openLab, type TestLab } from "../../src/testing/index.ts";
import type { Segment } from "../../src/vm/network/segment.ts";
import { blank, isLocked, madeMedium, mediumComesUp } from "../helpers/labs/bare-medium.ts";
import { web } from "../helpers/labs/web.ts";

let lab: TestLab;

beforeEach(async () => {
  lab = await openLab();
});
afterEach(async () => {
  await lab.close();
});

/** What is made for the network, on a web server that loopback of QEMU's own network leads to. */
async function served() {
  const directory = await madeMedium(lab, "pxe");
  /** Files that it gave, in their order, and who asked for each first. */
  const given = new Map<string, string>();
  const server = await web((request, response) => {
    // Shim asks for //grubx64.efi.
    const path = (request.url ?? "").replace(/^\/+/, "/").replaceAll("..", "");
    const file = join(directory, path);
    const size = statSync(file, { throwIfNoEntry: false })?.size;
    if (size === undefined) return void response.writeHead(404).end();
    if (!given.has(path)) given.set(path, request.headers["user-agent"] ?? "");
    // GRUB knows the header in this spelling alone.
    response.writeHead(200, { "Content-Length": size });
    if (request.method === "HEAD") response.end();
    else createReadStream(file).pipe(response);
  });
  return { url: server.url.replace("127.0.0.1", "10.0.2.2"), asked: server.asked, given };
}

const onCard = (boot: Required<Segment>["boot"]) => [{ network: "internet" as const, segments: [{ boot }] }];

describe("rescue-pxe", () => {
  it("starts by iPXE from a web server on loopback", async () => {
    const { url, asked } = await served();
    await mediumComesUp(lab, { disks: [blank], nics: onCard({ by: "ipxe", file: `${url}/boot.ipxe` }) });
    expect(asked).toEqual(["/boot.ipxe", "/kernel", "/hosts/bios-gpt/initrd"]);
  });
});

/** Firmware asks its network by itself, and what it starts asks the same server. */
async function startsByHttp(firmware: "uefi" | "secure-boot"): Promise<Machine> {
  const { url, given } = await served();
  const nics = onCard({ by: "uefi", file: `${url}/bootx64.efi` });
  const machine = await mediumComesUp(lab, { firmware, disks: [blank], nics });
  expect(given.get("/bootx64.efi")).toMatch(/^UefiHttpBoot/);
  expect([...given.keys()]).toEqual([
    ...["/bootx64.efi", "/grubx64.efi", "/grub/grub.cfg", "/kernel", "/hosts/bios-gpt/initrd"],
  ]);
  return machine;
}

describe("rescue-http-uefi", () => {
  it("starts from a URL that DHCP names, by UEFI itself", async () => {
    const machine = await startsByHttp("uefi");
    expect(machine.console.text).toMatch(/efi: EFI v/);
  });
});

describe("rescue-http-secure", () => {
  it("starts from a URL by firmware that trusts Microsoft's keys alone, and the kernel is locked down", async () => {
    const machine = await startsByHttp("secure-boot");
    expect(machine.console.text).toMatch(isLocked);
  });
});

describe("rescue-pxe-secure", () => {
  it("starts by PXE, all of it by TFTP, by firmware that trusts Microsoft's keys alone", async () => {
    const tftp = await madeMedium(lab, "pxe");
    const nics = onCard({ by: "uefi", file: "bootx64.efi", tftp });
    const machine = await mediumComesUp(lab, { firmware: "secure-boot", disks: [blank], nics });
    expect(machine.console.text).toMatch(isLocked);
  });
});
