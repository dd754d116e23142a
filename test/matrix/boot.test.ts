import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { readPe } from "../../src/boot/efi/pe.ts";
import { ukiPath } from "../../src/boot/loader.ts";
import { inspect } from "../../src/operator/inspect/inspect.ts";
import { mirrorsFor } from "../../src/operator/lock/lock.ts";
import { openDefinition } from "../../src/operator/lock/open-definition.ts";
import { loadersOf } from "../../src/operator/secure-boot/loaders.ts";
import { judgeLoaders } from "../../src/operator/secure-boot/refusals.ts";
import { chrootRun } from "../../src/system/door/chroot.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { type DefinedMachine, openLab, type TestLab } from "../../src/testing/index.ts";
import type { Host } from "../../src/transport/host.ts";
import { type BootDefinition, bootDefinition } from "../helpers/builders/boot-definition.ts";
import { imgbuild } from "../helpers/imgbuild.ts";

const gptBoth = "gpt(biosBoot(), esp(), root())";
const ownBoot =
  'gpt(biosBoot(), esp({ size: "64MiB" }), partition({ name: "boot", type: "linux", size: "256MiB", content: ext4({ mount: "/boot" }) }), root())';
const variable = (name: string) =>
  `od -An -t u1 -j 4 -N 1 /sys/firmware/efi/efivars/${name}-8be4df61-93ca-11d2-aa0d-00e098032b8c | tr -d ' '`;
/** What the firmware or a loader says on the console of a program that it does not start. */
const refused = /access denied|security (policy )?violation|bad shim signature|permission denied/i;

let lab: TestLab | undefined;
let definition: BootDefinition | undefined;

afterEach(async () => {
  await lab?.close();
  await definition?.close();
  lab = definition = undefined;
});

async function machineOf(
  name: string,
  [table, boot]: readonly [string, string],
  how: { readonly firmware: "bios" | "uefi" | "secure-boot" | "setup-mode"; readonly tpm?: boolean },
): Promise<DefinedMachine> {
  definition ??= await bootDefinition(name, table, boot);
  lab ??= await openLab();
  return await lab.machine({ definition: definition.path, ...how });
}

/** The same image under the other firmware. */
async function bootsUnder(
  firmware: "bios" | "uefi",
  name: string,
  how: readonly [string, string],
): Promise<void> {
  await lab?.close();
  lab = undefined;
  const machine = await machineOf(name, how, { firmware });
  await machine.boot();
  const seen = await machine.succeed("test -d /sys/firmware/efi && echo uefi || echo bios");
  expect(seen).toBe(firmware);
}

describe("boot-uki", () => {
  const how = [gptBoth, '{ loader: "uki" }'] as const;
  it("starts a unified image, makes another when apt brings a kernel, and boots that; BIOS starts the same disk", async () => {
    const machine = await machineOf("uki", how, { firmware: "uefi" });
    await machine.boot();
    const stub = "cat /sys/firmware/efi/efivars/StubInfo-* | tr -d '\\0'";
    expect(await machine.succeed(stub)).toContain("systemd-stub");
    const image = await machine.succeed("ls /efi/EFI/Linux/debian-$(uname -r).efi");
    await machine.succeed(`rm ${image}`);
    await machine.succeed("apt-get update && apt-get install --yes --reinstall linux-image-$(uname -r)", {
      withinSeconds: 240,
    });
    expect(await machine.succeed(`stat -c %s ${image}`)).toMatch(/^\d{8,}$/);
    await machine.reboot();
    expect(await machine.succeed(stub)).toContain("systemd-stub");
    expect(await machine.succeed("systemctl --failed --no-legend")).toBe("");
    await bootsUnder("bios", "uki", how);
  });
});

describe("boot-uki-12", () => {
  it("starts a unified image of Debian 12, which has no program of its own to make one", async () => {
    definition = await bootDefinition("twelve", gptBoth, '{ loader: "uki" }', "bookworm");
    lab = await openLab();
    const machine = await lab.machine({ definition: definition.path, firmware: "uefi" });
    await machine.start();
    await machine.waitForConsole(/EFI stub: Loaded initrd/, { withinSeconds: 60 });
    await machine.waitForConsole(/twelve login: /, { withinSeconds: 60 });
  });
});

describe("boot-hooks", () => {
  it.each(["trixie", "bookworm"])(
    "put a kernel of %s on the ESP and take it off again, without a machine",
    async (suite) => {
      definition = await bootDefinition("hooks", gptBoth, '{ loader: "uki" }', suite);
      const tree = join(definition.path, "tree");
      const built = await imgbuild(["build", definition.path, "-o", tree, "--format", "dir"], {
        env: process.env,
        timeoutMs: 600_000,
      });
      expect(built.stderr).not.toContain("hint:");
      expect(built.code).toBe(0);
      const version = readdirSync(join(tree, "boot"))
        .find((name) => name.startsWith("vmlinuz-"))!
        .slice(8);
      const [kernel, initrd] = [`/boot/vmlinuz-${version}`, `/boot/initrd.img-${version}`];
      const images = () => readdirSync(join(tree, "efi/EFI/Linux"));
      mkdirSync(join(tree, "efi/EFI"), { recursive: true });
      for (const more of [[], [initrd]]) {
        await chrootRun(tree, ["kernel-install", "add", version, kernel, ...more]);
        expect(images()).toEqual([`debian-${version}.efi`]);
        const { sections } = readPe(readFileSync(join(tree, "efi", ukiPath(version))), "the image");
        const part = (name: string) => sections.find((one) => one.name === name)!.content;
        expect(part(".initrd").equals(readFileSync(join(tree, initrd)))).toBe(true);
        expect(part(".linux").equals(readFileSync(join(tree, kernel)))).toBe(true);
        expect(part(".cmdline").toString()).toMatch(/^root=UUID=\S+ ro console=tty0/);
        await chrootRun(tree, ["kernel-install", "remove", version]);
        expect(images()).toEqual([]);
      }
    },
  );
});

describe("boot-grub-uefi", () => {
  const how = [ownBoot, '{ loader: "grub" }'] as const;
  it("starts from /boot on a filesystem of its own, renews GRUB after apt, and boots again; BIOS shares the menu", async () => {
    const machine = await machineOf("grub", how, { firmware: "uefi" });
    await machine.boot();
    expect(
      await machine.succeed("findmnt --noheadings --output FSTYPE /boot; readlink /boot/vmlinuz"),
    ).toMatch(/^ext4\nvmlinuz-/);
    for (const path of ["EFI/debian/grubx64.efi", "EFI/BOOT/BOOTX64.EFI"])
      await machine.succeed(`: >/efi/${path}`);
    // What apt runs behind dpkg.
    await machine.succeed(
      "apt-config shell hook DPkg::Post-Invoke:: | grep -q update-loaders; /usr/lib/imgbuild/update-loaders",
    );
    await machine.reboot();
    expect(await machine.succeed("systemctl --failed --no-legend")).toBe("");
    await bootsUnder("bios", "grub", how);
  });
});

describe("boot-mbr", () => {
  const how = [
    'mbr(root({ size: "rest" }))',
    '{ firmware: ["bios"], consoles: ["tty0", "ttyS1,9600", "ttyS0,115200"] }',
  ] as const;
  it("starts by GRUB in the gap before the first partition, its menu on the serial port that is there", async () => {
    const machine = await machineOf("mbr", how, { firmware: "bios" });
    await machine.boot();
    expect(await machine.succeed("blkid -p -s PTTYPE -o value /dev/vda")).toBe("dos");
    expect(machine.console.text).toContain("mbr (Debian trixie)");
    expect(await machine.succeed("cat /proc/cmdline")).toContain("console=ttyS1,9600 console=ttyS0,115200");
  });
});

describe("boot-secure-own", () => {
  const how = [gptBoth, '{ firmware: ["uefi"], loader: "uki", secureBoot: own }'] as const;
  it("gives its keys to the firmware, which then starts what they signed, and nothing else", async () => {
    const machine = await machineOf("secure-own", how, { firmware: "setup-mode" });
    await machine.boot({ withinSeconds: 120 });
    expect(await machine.succeed(`${variable("SecureBoot")}; ${variable("SetupMode")}`)).toBe("1\n0");
    expect(await machine.succeed("cat /sys/kernel/security/lockdown")).toContain("[integrity]");
    // An update signs by the key that the definition lays there.
    const kernel = "$(uname -r) /boot/vmlinuz-$(uname -r) /boot/initrd.img-$(uname -r)";
    await machine.succeed(`rm /efi/EFI/Linux/*; kernel-install add ${kernel}`, { withinSeconds: 60 });
    await machine.succeed("sbverify --cert /etc/kernel/secure-boot-certificate.pem /efi/EFI/Linux/*.efi");
    await machine.reboot();
    // Without the key nothing is put in the menu, and nothing is taken from it.
    await machine.succeed("mv /etc/secure-boot.key /root/key; cp -r /efi/EFI/Linux /run/before");
    expect((await machine.execute(`kernel-install add ${kernel}`)).stderr).toContain(
      "does not hold the Secure Boot key",
    );
    await machine.succeed("diff -r /efi/EFI/Linux /run/before");
    // Last by name, so that it is no default.
    const unsigned = "/efi/EFI/Linux/a-unsigned.efi";
    await machine.succeed(
      `/usr/lib/imgbuild/make-uki --stub /usr/lib/systemd/boot/efi/linuxx64.efi.stub --linux /boot/vmlinuz-$(uname -r) \
        --initrd /boot/initrd.img-$(uname -r) --cmdline /etc/kernel/cmdline --os-release /usr/lib/os-release \
        --uname $(uname -r) --output ${unsigned} && bootctl set-oneshot a-unsigned.efi && sync`,
      { withinSeconds: 60 },
    );
    const mark = machine.console.mark();
    await machine.reset();
    await machine.waitForConsole(refused, { after: mark });
    await machine.reset();
    await machine.boot();
    // The firmware itself: systemd-boot as it was before it was signed.
    await machine.succeed(
      "for to in EFI/BOOT/BOOTX64.EFI EFI/systemd/systemd-bootx64.efi; do cp /usr/lib/systemd/boot/efi/systemd-bootx64.efi /efi/$to; done; sync",
    );
    const later = machine.console.mark();
    await machine.reset();
    await machine.waitForConsole(refused, { after: later });
  });
});

describe("boot-secure-shim", () => {
  const how = [gptBoth, '{ firmware: ["uefi"], loader: "grub", secureBoot: "debian" }'] as const;
  it("starts by Microsoft's and Debian's signatures, and no kernel that has none", async () => {
    const machine = await machineOf("secure-shim", how, { firmware: "secure-boot" });
    await machine.boot({ withinSeconds: 120 });
    expect(await machine.succeed(variable("SecureBoot"))).toBe("1");
    expect(await machine.succeed("cat /sys/kernel/security/lockdown")).toContain("[integrity]");
    await judgesTheSame(machine);
    await machine.succeed("printf x | dd of=/boot/vmlinuz-$(uname -r) bs=1 seek=4000000 conv=notrunc; sync");
    const mark = machine.console.mark();
    await machine.reset();
    await machine.waitForConsole(refused, { after: mark });
  });
});

/** What a plan says of the machine's firmware: that it starts what has started here, and nothing that it has no key for. */
async function judgesTheSame(machine: DefinedMachine): Promise<void> {
  const shown: Pick<Host, "name" | "exec"> = {
    name: "the machine",
    exec: async (argv, { stdin } = {}) =>
      await machine.execute(argv, { withinSeconds: 120, ...(typeof stdin === "string" ? { stdin } : {}) }),
  };
  const { signal } = new AbortController();
  const facts = await inspect(shown, "none", () => [], signal);
  expect(facts).toMatchObject({ firmware: "uefi", secureBoot: true });
  const { env } = process;
  const { spec, lock } = await openDefinition(definition!.path);
  const mirrors = await mirrorsFor(spec, env);
  const loaders = await loadersOf({ spec, lock }, { cache: cacheRoot(env), env, signal, mirrors });
  if (loaders === undefined || "problem" in loaders) throw new Error(JSON.stringify(loaders));
  const { refused, trusted } = judgeLoaders(loaders, facts);
  expect({ refused, trusts: trusted?.some((name) => /^Microsoft .*UEFI CA/.test(name)) }).toEqual({
    ...{ refused: [], trusts: true },
  });
  // shim has noted it when it started.
  expect(facts.sbatLevel).toContainEqual(expect.stringMatching(/^shim,\d+$/));
  const others = {
    authorities: facts.secureBootDb!.authorities.filter((name) => !/UEFI CA/.test(name)),
    programs: [],
  };
  expect(judgeLoaders(loaders, { secureBootDb: others }).refused).toHaveLength(1);
}

describe("boot-tpm", () => {
  const how = [gptBoth, '{ loader: "uki" }'] as const;
  it("has a TPM 2.0, into which the boot was measured", async () => {
    const machine = await machineOf("uki", how, { firmware: "uefi", tpm: true });
    await machine.boot();
    expect(await machine.succeed("ls /dev/tpm0; cat /sys/class/tpm/tpm0/tpm_version_major")).toBe(
      "/dev/tpm0\n2",
    );
    // 4: what the firmware started. 11: the parts of the unified image.
    for (const pcr of [4, 11])
      expect(await machine.succeed(`cat /sys/class/tpm/tpm0/pcr-sha256/${pcr}`)).not.toMatch(/^0+$/);
  });
});
