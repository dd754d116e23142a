import { describe, expect, it } from "vitest";
import { acceleratorArgs, type MachineShape, qemuCommand } from "../../src/vm/command.ts";

const shape: MachineShape = {
  name: "one",
  memoryMib: 512,
  cpus: 2,
  accelerator: "tcg",
  disks: [{ file: "/lab/system.qcow2", format: "qcow2", serial: "IMGBUILD-SYSTEM" }],
  forwards: [22, 80],
  consoleFile: "/lab/console.log",
};

/** The value after the n-th `option`. */
function optionOf(argv: readonly string[], option: string, nth = 0): string | undefined {
  const places = argv.flatMap((word, index) => (word === option ? [index] : []));
  return places[nth] === undefined ? undefined : argv[places[nth] + 1];
}

describe("qemuCommand", () => {
  it("makes a small server that starts stopped and talks over inherited sockets", () => {
    const argv = qemuCommand(shape);
    expect(argv[0]).toBe("qemu-system-x86_64");
    expect(argv).toContain("-S");
    expect(optionOf(argv, "-smp")).toBe("2");
    expect(optionOf(argv, "-m")).toBe("512M");
    expect(optionOf(argv, "-chardev")).toBe("socket,id=console,fd=3,logfile=/lab/console.log,logappend=on");
    expect(optionOf(argv, "-chardev", 1)).toBe("socket,id=qmp,fd=4");
  });

  it("forwards ports on the loopback address only, and lets the kernel choose them", () => {
    expect(optionOf(qemuCommand(shape), "-netdev")).toBe(
      "user,id=net0,hostfwd=tcp:127.0.0.1:0-:22,hostfwd=tcp:127.0.0.1:0-:80",
    );
    expect(optionOf(qemuCommand({ ...shape, forwards: [] }), "-netdev")).toBe("user,id=net0");
  });

  it("keeps the network card in its slot whatever disks there are", () => {
    const argv = qemuCommand({ ...shape, disks: [], mac: "00:12:34" });
    expect(optionOf(argv, "-device")).toBe("virtio-net-pci,netdev=net0,addr=0x3,mac=52:54:00:00:12:34");
  });

  it("gives disks in boot order, with serial, format and cache of each", () => {
    const argv = qemuCommand({
      ...shape,
      disks: [
        ...shape.disks,
        { file: "/lab/data.raw", format: "raw", serial: "DATA", readOnly: true, cache: "unsafe" },
      ],
    });
    expect(optionOf(argv, "-drive")).toBe(
      "if=none,id=disk0,format=qcow2,cache=writeback,discard=unmap,read-only=off,file=/lab/system.qcow2",
    );
    expect(optionOf(argv, "-device", 1)).toBe(
      "virtio-blk-pci,drive=disk0,serial=IMGBUILD-SYSTEM,bootindex=0",
    );
    expect(optionOf(argv, "-drive", 1)).toBe(
      "if=none,id=disk1,format=raw,cache=unsafe,discard=unmap,read-only=on,file=/lab/data.raw",
    );
    expect(optionOf(argv, "-device", 2)).toBe("virtio-blk-pci,drive=disk1,serial=DATA,bootindex=1");
  });

  it("doubles a comma in a file name, which would end the value", () => {
    const disks = [{ file: "/lab/a,b", format: "raw", serial: "S" }] as const;
    expect(optionOf(qemuCommand({ ...shape, disks }), "-drive")).toMatch(/,file=\/lab\/a,,b$/);
    const argv = qemuCommand({ ...shape, consoleFile: "/lab/a,b.log" });
    expect(optionOf(argv, "-chardev")).toBe("socket,id=console,fd=3,logfile=/lab/a,,b.log,logappend=on");
  });

  it("adds firmware code read-only and variables writable, for UEFI only", () => {
    expect(qemuCommand(shape).join(" ")).not.toContain("pflash");
    const argv = qemuCommand({ ...shape, uefi: { code: "/fw/code.fd", variables: "/lab/vars.qcow2" } });
    expect(optionOf(argv, "-drive")).toBe("if=pflash,unit=0,format=raw,readonly=on,file=/fw/code.fd");
    expect(optionOf(argv, "-drive", 1)).toBe("if=pflash,unit=1,format=qcow2,file=/lab/vars.qcow2");
  });

  it("has a watchdog that resets, where asked for", () => {
    expect(qemuCommand(shape)).not.toContain("i6300esb");
    expect(qemuCommand({ ...shape, watchdog: true }).slice(-4)).toEqual([
      ...["-device", "i6300esb", "-action", "watchdog=reset"],
    ]);
  });
});

describe("acceleratorArgs", () => {
  it("pairs each accelerator with a processor it can run", () => {
    expect(acceleratorArgs("kvm")).toEqual(["-accel", "kvm", "-cpu", "host"]);
    expect(acceleratorArgs("tcg")).toEqual([
      ...["-accel", "tcg,thread=multi,tb-size=128", "-cpu", "max,la57=off"],
    ]);
  });
});
