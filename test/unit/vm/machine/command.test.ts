import { describe, expect, it } from "vitest";
import { acceleratorArgs, type MachineShape, qemuCommand } from "../../../../src/vm/machine/command.ts";
import { forwardsBy } from "../../../../src/vm/machine/forwards.ts";
import type { Segment } from "../../../../src/vm/network/segment.ts";

const shape: MachineShape = {
  name: "one",
  memoryMib: 512,
  cpus: 2,
  accelerator: "tcg",
  disks: [{ file: "/lab/system.qcow2", format: "qcow2", serial: "IMGBUILD-SYSTEM" }],
  nics: [{ kind: "user", mac: "52:54:00:00:12:34" }],
  consoleFile: "/lab/console.log",
};

/** All values of an option, in order. */
function valuesOf(argv: readonly string[], option: string): string[] {
  return argv.flatMap((word, index) => (word === option ? [argv[index + 1]!] : []));
}

const devicesOf = (argv: readonly string[]) =>
  valuesOf(argv, "-device").map((text) => JSON.parse(text) as { driver: string; id?: string });
const cards = (argv: readonly string[]) => devicesOf(argv).filter(({ id }) => /^nic\d+$/.test(id ?? ""));
const disksOf = (argv: readonly string[]) => devicesOf(argv).filter(({ id }) => /^disk\d+$/.test(id ?? ""));

describe("qemuCommand", () => {
  it("makes a small server that starts stopped and talks over inherited sockets", () => {
    const argv = qemuCommand(shape);
    expect(argv[0]).toBe("qemu-system-x86_64");
    expect(argv).toContain("-S");
    expect(valuesOf(argv, "-smp")).toEqual(["2"]);
    expect(valuesOf(argv, "-m")).toEqual(["512M"]);
    expect(valuesOf(argv, "-chardev")).toEqual([
      "socket,id=console,fd=3,logfile=/lab/console.log,logappend=on",
      "socket,id=qmp,fd=4",
      "socket,id=shell,fd=5",
    ]);
  });

  it("keeps the first card in its slot, and gives every other a port of its own and a socket of ours", () => {
    const argv = qemuCommand({
      ...shape,
      nics: [{ kind: "user" }, { kind: "switch", mac: "52:54:00:00:00:02" }],
    });
    expect(valuesOf(argv, "-netdev").map((text) => JSON.parse(text))).toEqual([
      { type: "user", id: "net0" },
      { type: "stream", id: "net1", server: false, addr: { type: "fd", str: "7" } },
    ]);
    expect(cards(argv)).toMatchObject([
      { driver: "virtio-net-pci", id: "nic0", addr: "0x3" },
      { driver: "virtio-net-pci", id: "nic1", bus: "nic1-port", mac: "52:54:00:00:00:02" },
    ]);
    expect(devicesOf(argv)[0]).toMatchObject({ id: "nic0" });
    expect(devicesOf(argv)).toContainEqual({
      driver: "pcie-root-port",
      id: "nic1-port",
      chassis: 65,
      slot: 65,
    });
  });

  it("gives disks in boot order, with serial, format, cache and sector size of each", () => {
    const argv = qemuCommand({
      ...shape,
      disks: [
        ...shape.disks,
        {
          file: "/lab/data.raw",
          format: "raw",
          serial: "DATA",
          readOnly: true,
          cache: "unsafe",
          sectorSize: 4096,
        },
      ],
    });
    expect(valuesOf(argv, "-blockdev").map((text) => JSON.parse(text))).toMatchObject([
      { driver: "qcow2", "node-name": "disk0-content", "read-only": false, cache: { "no-flush": false } },
      { driver: "raw", "node-name": "disk1-content", "read-only": true, cache: { "no-flush": true } },
    ]);
    expect(disksOf(argv)).toEqual([
      {
        ...{ driver: "virtio-blk-pci", id: "disk0", bus: "disk0-port", drive: "disk0-content" },
        ...{ serial: "IMGBUILD-SYSTEM", bootindex: 0, werror: "report", rerror: "report" },
      },
      {
        ...{ driver: "virtio-blk-pci", id: "disk1", bus: "disk1-port", drive: "disk1-content" },
        ...{ serial: "DATA", bootindex: 1, werror: "report", rerror: "report" },
        ...{ logical_block_size: 4096, physical_block_size: 4096 },
      },
    ]);
  });

  it("records the writes of a disk beside it, and sees the flushes that the file ignores", () => {
    const disk = {
      file: "/lab/x",
      format: "raw",
      serial: "X",
      cache: "unsafe",
      writeLog: "/lab/log",
    } as const;
    const [node] = valuesOf(qemuCommand({ ...shape, disks: [disk] }), "-blockdev").map((text) =>
      JSON.parse(text),
    );
    expect(node).toMatchObject({
      ...{ driver: "blklogwrites", "node-name": "disk0-content", cache: { "no-flush": false } },
      file: { driver: "raw", cache: { "no-flush": true }, file: { filename: "/lab/x" } },
      log: { driver: "file", filename: "/lab/log" },
    });
  });

  it("adds the controller that a disk's bus needs, once", () => {
    const on = (bus: "scsi" | "usb" | "sata" | "nvme", serial: string) =>
      ({ file: "/lab/x", format: "raw", serial, bus }) as const;
    const disks = [on("scsi", "A"), on("scsi", "B"), on("usb", "C"), on("sata", "D"), on("nvme", "E")];
    const argv = qemuCommand({ ...shape, disks });
    const drivers = devicesOf(argv).map(({ driver }) => driver);
    expect(drivers.filter((one) => one === "virtio-scsi-pci" || one === "qemu-xhci")).toEqual([
      "virtio-scsi-pci",
      "qemu-xhci",
    ]);
    expect(disksOf(argv)).toMatchObject([
      { driver: "scsi-hd", bus: "scsi0.0" },
      { driver: "scsi-hd", bus: "scsi0.0" },
      { driver: "usb-storage", bus: "usb0.0" },
      { driver: "ide-hd", bus: "ide.3" },
      { driver: "nvme", bus: "disk4-port" },
    ]);
  });

  it("doubles a comma in a file name, which would end the value", () => {
    const argv = qemuCommand({ ...shape, consoleFile: "/lab/a,b.log" });
    expect(valuesOf(argv, "-chardev")[0]).toBe("socket,id=console,fd=3,logfile=/lab/a,,b.log,logappend=on");
    const credentials = qemuCommand({ ...shape, oemStrings: ["a=b,c", "d=e"] });
    expect(valuesOf(credentials, "-smbios")).toEqual(["type=11,value=a=b,,c,value=d=e"]);
  });

  it("adds firmware code read-only and variables writable, for UEFI only", () => {
    expect(qemuCommand(shape).join(" ")).not.toContain("pflash");
    const uefi = { code: "/fw/code.fd", variables: "/lab/vars.qcow2", secure: false };
    expect(valuesOf(qemuCommand({ ...shape, uefi }), "-drive")).toEqual([
      "if=pflash,unit=0,format=raw,readonly=on,file=/fw/code.fd",
      "if=pflash,unit=1,format=qcow2,file=/lab/vars.qcow2",
    ]);
    expect(valuesOf(qemuCommand({ ...shape, uefi }), "-machine")).toEqual(["q35"]);
  });

  it("lets only the firmware write the variables of Secure Boot", () => {
    const uefi = { code: "/fw/code.fd", variables: "/lab/vars.qcow2", secure: true };
    const argv = qemuCommand({ ...shape, uefi });
    expect(valuesOf(argv, "-machine")).toEqual(["q35,smm=on"]);
    expect(valuesOf(argv, "-global")).toEqual(["driver=cfi.pflash01,property=secure,value=on"]);
  });

  it("has a watchdog that resets and a TPM, where asked for", () => {
    expect(qemuCommand(shape).join(" ")).not.toMatch(/i6300esb|tpm/);
    const argv = qemuCommand({ ...shape, watchdog: true, tpmSocket: "/lab/tpm.sock" });
    expect(argv.slice(-4)).toEqual(["-device", '{"driver":"i6300esb"}', "-action", "watchdog=reset"]);
    expect(valuesOf(argv, "-tpmdev")).toEqual(["emulator,id=tpm0,chardev=tpm"]);
  });
});

describe("a machine that works through one job", () => {
  const direct = { kernel: "/c/kernel", initrd: "/w/a,b", cmdline: ["console=ttyS0", "panic=1"] };

  it("starts its kernel itself, ends with the guest's restart, and has a clock and a port of its own", () => {
    const argv = qemuCommand({ ...shape, direct, once: true, clock: 86_400, port: "org.example.job" });
    expect(valuesOf(argv, "-kernel")).toEqual(["/c/kernel"]);
    expect(valuesOf(argv, "-initrd")).toEqual(["/w/a,b"]);
    expect(valuesOf(argv, "-append")).toEqual(["console=ttyS0 panic=1"]);
    expect(valuesOf(argv, "-rtc")).toEqual(["base=1970-01-02T00:00:00,clock=vm"]);
    expect(argv).toContain("-no-reboot");
    // QEMU's loader is the first thing to start from, and nothing else may be.
    expect(disksOf(argv).flatMap((disk) => Object.keys(disk))).not.toContain("bootindex");
    expect(devicesOf(argv)).toContainEqual(expect.objectContaining({ name: "org.example.job" }));
    expect(qemuCommand(shape).join(" ")).not.toMatch(/-kernel|-initrd|-append|-rtc|-no-reboot|org\.example/);
  });

  it("keeps a disk's file sparse where asked for", () => {
    const [disk] = shape.disks;
    const nodes = (sparse: boolean) =>
      valuesOf(qemuCommand({ ...shape, disks: [{ ...disk!, sparse }] }), "-blockdev")[0];
    expect(JSON.parse(nodes(true)!)).toMatchObject({ discard: "unmap", "detect-zeroes": "unmap" });
    expect(nodes(false)).not.toContain("detect-zeroes");
  });
});

describe("a card on the definition's network", () => {
  const ipv4 = { network: "192.0.2.0/24", host: "192.0.2.1", dns: "192.0.2.53", dhcpStart: "192.0.2.2" };
  const ipv6 = { prefix: "2001:db8::", length: 64, host: "2001:db8::1" };
  const on = (...segments: Segment[]) => [{ kind: "user", segments }] as const;
  const backs = (nics: MachineShape["nics"]) =>
    valuesOf(qemuCommand({ ...shape, nics }), "-netdev").map((text) => JSON.parse(text) as object);

  it("has QEMU's network be its subnet, with its gateway, and lets ports lead to its address", () => {
    const nics = on({ ipv4, guest: "192.0.2.10" });
    expect(backs(nics)).toEqual([
      {
        ...{ type: "user", id: "net0", net: "192.0.2.0/24", host: "192.0.2.1" },
        ...{ dns: "192.0.2.53", dhcpstart: "192.0.2.2", ipv6: false },
      },
    ]);
    expect(forwardsBy(nics)).toEqual({ netdev: "net0", guest: "192.0.2.10" });
    expect(backs(on({ ipv4, ipv6, guest: "192.0.2.10" }))).toMatchObject([
      {
        net: "192.0.2.0/24",
        ...{ "ipv6-prefix": "2001:db8::", "ipv6-prefixlen": 64, "ipv6-host": "2001:db8::1" },
      },
    ]);
  });

  it("is what it was where addresses come by DHCP", () => {
    expect(backs(on({}))).toEqual([{ type: "user", id: "net0" }]);
    expect(forwardsBy(on({}))).toEqual({ netdev: "net0", guest: "" });
    expect(forwardsBy([{ kind: "switch" }])).toBeUndefined();
  });

  it("leads through this process where QEMU knows no tags, or no forwards to IPv6", () => {
    const nics = [{ kind: "switch" as const }, ...on({ vlan: 40, ipv4, guest: "192.0.2.10" }, { vlan: 41 })];
    expect(backs(nics)).toEqual([
      { type: "stream", id: "net0", server: false, addr: { type: "fd", str: "6" } },
      { type: "stream", id: "net1", server: false, addr: { type: "fd", str: "7" } },
      {
        ...{ type: "user", id: "uplink0", net: "192.0.2.0/24", host: "192.0.2.1" },
        ...{ dns: "192.0.2.53", dhcpstart: "192.0.2.2", ipv6: false },
      },
      { type: "hubport", id: "uplink0-inner", hubid: 0, netdev: "uplink0" },
      { type: "stream", id: "uplink0-cable", server: false, addr: { type: "fd", str: "8" } },
      { type: "hubport", id: "uplink0-outer", hubid: 0, netdev: "uplink0-cable" },
      { type: "user", id: "uplink1" },
      { type: "hubport", id: "uplink1-inner", hubid: 1, netdev: "uplink1" },
      { type: "stream", id: "uplink1-cable", server: false, addr: { type: "fd", str: "9" } },
      { type: "hubport", id: "uplink1-outer", hubid: 1, netdev: "uplink1-cable" },
    ]);
    expect(forwardsBy(nics)).toEqual({ netdev: "uplink0", guest: "192.0.2.10" });
    const alone = on({ ipv4, ipv6, guest: "192.0.2.10", guest6: "2001:db8::10" });
    expect(backs(alone)).toHaveLength(5);
  });
});

describe("a card that the firmware starts from", () => {
  const nics = (boot: Required<Segment>["boot"]) => [{ kind: "user" as const, segments: [{ boot }] }];
  const parts = (boot: Required<Segment>["boot"]) => {
    const argv = qemuCommand({ ...shape, nics: nics(boot) });
    return {
      card: cards(argv)[0],
      backs: valuesOf(argv, "-netdev").map((text) => JSON.parse(text) as { type: string }),
    };
  };

  it("comes after the disks, and is started from by iPXE, which it has", () => {
    const { card, backs } = parts({ by: "ipxe", file: "http://10.0.2.2/boot.ipxe" });
    expect(card).toMatchObject({ id: "nic0", bootindex: 64 });
    expect(card).not.toHaveProperty("romfile");
    expect(backs).toEqual([{ type: "user", id: "net0", bootfile: "http://10.0.2.2/boot.ipxe" }]);
  });

  it("has no iPXE where UEFI itself starts from it, by TFTP of QEMU's or by HTTP through this process", () => {
    const tftp = parts({ by: "uefi", file: "bootx64.efi", tftp: "/srv" });
    expect(tftp.card).toMatchObject({ bootindex: 64, romfile: "" });
    expect(tftp.backs).toEqual([{ type: "user", id: "net0", bootfile: "bootx64.efi", tftp: "/srv" }]);
    const http = parts({ by: "uefi", file: "http://10.0.2.2/bootx64.efi" });
    expect(http.card).toMatchObject({ bootindex: 64, romfile: "" });
    expect(http.backs.map(({ type }) => type)).toEqual(["stream", "user", "hubport", "stream", "hubport"]);
  });
});

describe("acceleratorArgs", () => {
  it("pairs each accelerator with a processor it can run", () => {
    expect(acceleratorArgs("kvm")).toEqual(["-accel", "kvm", "-cpu", "host"]);
    expect(acceleratorArgs("hvf")).toEqual(["-accel", "hvf", "-cpu", "host"]);
    expect(acceleratorArgs("tcg")).toEqual([
      ...["-accel", "tcg,thread=multi,tb-size=128", "-cpu", "max,la57=off"],
    ]);
  });
});
