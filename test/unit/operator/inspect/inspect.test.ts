import { describe, expect, it } from "vitest";
import { throwawaySigner } from "../../../../src/boot/efi/self-signed.ts";
import { mirrorsInSources } from "../../../../src/debian/archive/mirrors.ts";
import { inspect } from "../../../../src/operator/inspect/inspect.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { x509List } from "../../../helpers/builders/signature-lists.ts";
import { mib } from "../../../helpers/builders/storage.ts";
import { probeOutput } from "../../../helpers/fakes/probe-output.ts";

const { certificate } = throwawaySigner("An Authority");
/** A variable of the firmware as od(1) shows it, with its attributes. */
const od = (value: Buffer) =>
  Buffer.concat([Buffer.from([6, 0, 0, 0]), value])
    .toString("hex")
    .replaceAll(/(.{2})/g, " $1")
    .replaceAll(/(.{48})/g, "$1\n");

const signal = new AbortController().signal;

/** A host on which the probe prints this. */
async function look(
  change: Record<string, string> = {},
  by: "none" | "sudo" = "none",
  cut = (text: string) => text,
) {
  let asRoot: boolean | undefined;
  const host = {
    name: "web",
    exec: async (argv: readonly string[], options: { root?: boolean; stdin?: string }) => {
      expect(argv.slice(0, 2)).toEqual(["sh", "-s"]);
      expect(options.stdin).toContain("section end");
      asRoot = options.root;
      return { code: 0, stdout: cut(probeOutput(argv[2]!, change)), stderr: "sh: no such thing" };
    },
  } as unknown as Host;
  const facts = await inspect(host, by, mirrorsInSources, signal);
  return { facts, asRoot };
}

describe("inspect", () => {
  it("tells of the machine, its kernel and what may be done with it", async () => {
    const { facts, asRoot } = await look();
    expect(facts).toMatchObject({
      bootId: "11111111-2222-4333-8444-555555555555",
      machineId: "0123456789abcdef0123456789abcdef",
      dmiUuid: "4c4c4544-0042-3510-8051-b6c04f4e3233",
      hostname: "old",
      architecture: "x86_64",
      kernel: "6.1.0-28-cloud-amd64",
      os: { id: "debian", version: "12", name: "Debian GNU/Linux 12 (bookworm)" },
      user: { uid: 0, becomesRootBy: "none" },
      firmware: "uefi",
      secureBoot: false,
      lockdown: "none",
      kexecDisabled: false,
      container: "none",
      memoryMib: { total: 3920, available: 3520 },
      consoles: ["tty0", "ttyS0,115200"],
      dns: ["192.0.2.53", "2001:db8::53"],
      mirrors: [{ archive: "debian", url: "http://deb.example.org/debian" }],
      hostKeys: ["ssh-ed25519 AAAAold", "ssh-rsa AAAArsa"],
      cacheMib: 2500,
      watchdogs: ["iTCO_wdt", "i6300ESB timer"],
      lacksForTree: [],
      clock: 1_750_000_000,
    });
    expect(facts.hardwareClock! * 1000).toBeCloseTo(Date.now(), -6);
    const bare = await look({
      "hardware-clock": "",
    });
    expect(bare.facts).not.toHaveProperty("hardwareClock");
    expect(asRoot).toBe(false);
    expect((await look({}, "sudo")).asRoot).toBe(true);
  });

  it("tells of a TPM, of firmware that takes keys, and of the processor, as far as the kernel does", async () => {
    const seen = async (change: Readonly<Record<string, string>>) => {
      const { tpm, setupMode, cpuFlags } = (await look(change)).facts;
      return { tpm, setupMode, cpuFlags };
    };
    expect(await seen({})).toEqual({ tpm: undefined, setupMode: undefined, cpuFlags: undefined });
    expect(
      await seen({
        tpm: "version 2\nusable\nbank sha1\nbank sha256",
        "setup-mode": "   6   0   0   0   1",
        "cpu-flags": "fpu lm sse2",
      }),
    ).toEqual({
      tpm: { version: 2, usable: true, banks: ["sha1", "sha256"] },
      setupMode: true,
      cpuFlags: ["fpu", "lm", "sse2"],
    });
    // Only the firmware tells of it; an old kernel, with a TPM 2.0 and with another.
    expect((await seen({ tpm: "version 2" })).tpm).toEqual({ version: 2, usable: false });
    expect((await seen({ tpm: "usable" })).tpm).toEqual({ version: 2, usable: true });
    expect((await seen({ tpm: "bank sha1" })).tpm).toEqual({ version: 1, usable: false, banks: ["sha1"] });
  });

  it("tells of disks in bytes, their partitions by place, and what is mounted or swap", async () => {
    const { facts } = await look();
    expect(facts.disks).toEqual([
      {
        name: "vda",
        serial: "SYS",
        sizeBytes: 4096 * mib,
        sectorSize: 512,
        removable: false,
        readOnly: false,
        holders: [],
        mountPoints: [],
        partitions: [
          { name: "vda14", startBytes: mib, sizeBytes: 3 * mib, partUuid: "y", mountPoints: ["[swap]"] },
          {
            name: "vda15",
            startBytes: 4 * mib,
            sizeBytes: 124 * mib,
            fsType: "vfat",
            uuid: "1A2B-3C4D",
            mountPoints: ["/boot/efi"],
          },
          {
            name: "vda1",
            startBytes: 128 * mib,
            sizeBytes: 3967 * mib,
            fsType: "ext4",
            uuid: "c1a7e0d4-5b62-4f0e-8f1d-2f6a9b3c7e10",
            partUuid: "x",
            mountPoints: ["/"],
          },
        ],
      },
      {
        name: "vdb",
        serial: "DATA",
        wwn: "eui.0025388b710116a1",
        model: "Fast  Disk",
        sizeBytes: 512 * mib,
        sectorSize: 4096,
        removable: true,
        readOnly: true,
        holders: ["dm-0"],
        fsType: "ext4",
        uuid: "7f1d9a54-3c0e-4b6a-9d58-2f6b1c8e4a90",
        mountPoints: ["/mnt/a b"],
        partitions: [],
      },
    ]);
  });

  it("tells of links and of the routes that somebody set", async () => {
    const { facts } = await look();
    expect(facts.links).toEqual([
      {
        name: "ens3",
        mac: "52:54:00:12:34:56",
        mtu: 1500,
        up: true,
        addresses: [
          { address: "192.0.2.10", prefix: 24, dynamic: false },
          { address: "2001:db8::10", prefix: 64, dynamic: true },
        ],
      },
    ]);
    expect(facts.routes).toEqual([
      { to: "default", via: "192.0.2.1", link: "ens3", onLink: true, dynamic: false },
      { to: "default", via: "fe80::1", link: "ens3", onLink: false, dynamic: true, metric: 1024 },
    ]);
  });

  it.each<[string, Record<string, string>, object]>([
    ["Secure Boot", { "secure-boot": "   6   0   0   0   1" }, { secureBoot: true }],
    [
      "the keys of its firmware, and what shim has noted of generations",
      {
        "secure-boot-db": od(x509List(certificate)),
        "sbat-level": od(Buffer.from("sbat,1,2025051000\nshim,4\ngrub,5\n\0more")),
      },
      {
        secureBootDb: { authorities: ["An Authority"], programs: [] },
        sbatLevel: ["sbat,1,2025051000", "shim,4", "grub,5"],
      },
    ],
    ["no variable for it", { "secure-boot": "" }, { secureBoot: false }],
    ["lockdown", { lockdown: "none [integrity] confidentiality" }, { lockdown: "integrity" }],
    ["a kernel without lockdown", { lockdown: "" }, { lockdown: "none" }],
    ["kexec switched off", { "kexec-disabled": "1" }, { kexecDisabled: true }],
    ["no key of Debian's", {}, { trustsDebian: false, bootPlaces: [] }],
    ["a key of Debian's", { "debian-key": "trusted" }, { trustsDebian: true }],
    ["what systemd-boot says", { "loader-info": "systemd-boot 252" }, { loaderInfo: "systemd-boot 252" }],
    [
      "GRUB's directory",
      {
        "boot-places":
          "grub /boot/grub\ndf /dev/vda1 3990192 1200000 2560000 32% /\nleft 1024\t/boot/grub/imgbuild-takeover\nreads load_env",
      },
      {
        bootPlaces: [
          {
            ...{ loader: "grub", directory: "/boot/grub", fsType: "ext4", plain: true, freeMib: 2501 },
            reads: ["load_env"],
          },
        ],
      },
    ],
    ["a container", { container: "lxc" }, { container: "lxc" }],
    ["Xen PV without systemd", { container: "", xen: "PV" }, { container: "xen-pv" }],
    ["Xen HVM", { container: "", xen: "HVM" }, { container: "none" }],
    ["no os-release", { "os-release": "" }, { os: { id: "linux", version: "", name: "Linux" } }],
    [
      "quotes and an equals sign",
      { "os-release": "ID='a'\nPRETTY_NAME=\"a=b\"" },
      { os: { id: "a", version: "", name: "a=b" } },
    ],
    // The kernel's list has /dev/console last, as the command line does.
    [
      "no console on the command line",
      { cmdline: "quiet", consoles: "tty0 ttyS1" },
      { consoles: ["tty0", "ttyS1"] },
    ],
    ["an old iproute2, which prints no JSON for no routes", { "ip-route6": "" }, { clock: 1_750_000_000 }],
  ])("understands %s", async (_what, change, expected) => {
    expect((await look(change)).facts).toMatchObject(expected);
  });

  it("takes names as text of one line that a terminal does not act on, and bounded (F43)", async () => {
    const hostile = "\x1b[2J\x9b1A\u202e";
    const { facts } = await look({
      hostname: `old${hostile}`,
      "os-release": `PRETTY_NAME="${hostile}\rDebian"\nVERSION_ID="${"9".repeat(2 ** 20)}"`,
      disks: `disk vda\ndev 254:0\nsectors 8388608\nserial S${hostile}\nmodel ${hostile.repeat(9_999)}`,
      mountinfo: `22 1 254:0 / /mnt/a\\033[2J\\012b rw - ext4 /dev/vda rw`,
    });
    JSON.stringify(facts, (_key, value: unknown) => {
      if (typeof value === "string") expect(value).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      return value;
    });
    expect(facts.hostname).toBe("old\\x1b[2J\\x9b1A\\u{202e}");
    expect(facts.os.version).toMatch(/^9{512}… \(1048064 characters more\)$/);
    expect(facts.disks[0]).toMatchObject({
      serial: "S\\x1b[2J\\x9b1A\\u{202e}",
      mountPoints: ["/mnt/a\\x1b[2J\\nb"],
    });
    expect(facts.disks[0]!.model!.length).toBeLessThan(5_000);
  });

  it("refuses more disks, words or keys than any machine has (F43)", async () => {
    const many = (line: (index: number) => string) =>
      Array.from({ length: 5_000 }, (_, index) => line(index)).join("\n");
    await expect(look({ disks: many((index) => `disk vd${index}`) })).rejects.toThrow(/unexpected: disks$/);
    await expect(look({ cmdline: many(String) })).rejects.toThrow(/unexpected: cmdline$/);
    await expect(look({ "host-keys": many((index) => `ssh-rsa ${index}`) })).rejects.toThrow(/: hostKeys$/);
    await expect(look({ disks: `disk vda\nsectors ${2 ** 60}` })).rejects.toThrow(/: disks.0.sizeBytes$/);
    await expect(look({ disks: "disk vda\nsectors -1" })).rejects.toThrow(/: disks.0.sizeBytes$/);
    const key = `ssh-rsa ${"A".repeat(2_800)}`;
    expect((await look({ "host-keys": key })).facts.hostKeys).toEqual([key]);
  });

  it.each([
    ["a quote that would swallow the rest", 'root=x console="x console=ttyS0,115200n8', ["ttyS0,115200n8"]],
    ["what no kernel takes", "console=tty0;reboot console=../x console= console=hvc0", ["hvc0"]],
    ["a word of megabytes", `console=${"t".repeat(2 ** 20)} console=tty0`, ["tty0"]],
    [
      "every form that the kernel has",
      "console=tty1 console=ttyAMA0,115200 console=uart8250,io,0x3f8,9600n8",
      ["tty1", "ttyAMA0,115200", "uart8250,io,0x3f8,9600n8"],
    ],
    ["the same twice", "console=tty0 console=ttyS0 console=tty0", ["tty0", "ttyS0"]],
    ["nothing but what is left out", 'console="x', ["tty0", "ttyS0"]],
  ])("takes consoles in the kernel's form alone: %s", async (_what, cmdline, expected) => {
    expect((await look({ cmdline })).facts.consoles).toEqual(expected);
  });

  it("takes name servers that are addresses alone", async () => {
    const conf = "nameserver 192.0.2.53\nnameserver $(reboot)\nnameserver 2001:db8::53\n";
    const { facts } = await look({ "resolv-conf": conf, "resolv-conf-uplink": "" });
    expect(facts.dns).toEqual(["192.0.2.53", "2001:db8::53"]);
  });

  it("refuses an answer that ended early, is no JSON, or is none of the expected", async () => {
    const cut = (text: string) => text.slice(0, text.indexOf("host-keys"));
    await expect(look({}, "none", cut)).rejects.toThrow(
      "the inspection of web ended early\nsh: no such thing",
    );
    await expect(look({ "ip-address": "[1" })).rejects.toThrow(/`ip address` printed no JSON/);
    await expect(look({ "ip-route4": "[3]" })).rejects.toThrow(/`ip route` printed something unexpected/);
    await expect(look({ firmware: "coreboot" })).rejects.toThrow(
      "the inspection of web found something unexpected: firmware",
    );
    await expect(look({ clock: "now" })).rejects.toThrow(/unexpected: clock/);
  });
});
