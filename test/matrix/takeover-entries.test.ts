import { expect, it } from "vitest";
import { ownName } from "../../src/operator/takeover/ways/boot-entry.ts";
import { firmwareEntry } from "../../src/operator/takeover/ways/firmware.ts";
import { grubEntry } from "../../src/operator/takeover/ways/grub.ts";
import { kexecFile } from "../../src/operator/takeover/ways/kexec.ts";
import { systemdBootEntry } from "../../src/operator/takeover/ways/systemd-boot.ts";
import type { Machine } from "../../src/testing/index.ts";
import { entryTrial, esp } from "../helpers/labs/entry-trial.ts";

/** Which of the two ran, in the order of their starts, once the console has shown so many. */
async function starts(machine: Machine, count: number): Promise<string[]> {
  const said = /trial: the (old system|base) runs, lockdown [^\n]*\[(\w+)\][^\n]*\n/g;
  const many = new RegExp(`(?:trial: the (?:old system|base) runs[\\s\\S]*?\\n[\\s\\S]*?){${count}}`);
  await machine.waitForConsole(many, { withinSeconds: 60 * count });
  return [...machine.console.text.matchAll(said)].map(([, which, lockdown]) => `${which}, ${lockdown}`);
}

it("takeover-entries: systemd-boot starts what its variable names once, and then the old system", () =>
  entryTrial({ loader: "systemd-boot", firmware: "uefi", way: systemdBootEntry("/esp") }, async (machine) => {
    expect((await starts(machine, 3)).slice(0, 3)).toEqual([
      "old system, none",
      "base, none",
      "old system, none",
    ]);
    expect(machine.console.text).toContain(`initrd=\\${ownName}\\initrd console=ttyS0 panic=3 trial=base`);
  }));

it("takeover-entries: the firmware starts the base's kernel once, and then the old system", () =>
  entryTrial(
    { loader: "systemd-boot", firmware: "uefi", way: firmwareEntry("/esp", esp) },
    async (machine) => {
      expect((await starts(machine, 3)).slice(0, 3)).toEqual([
        "old system, none",
        "base, none",
        "old system, none",
      ]);
      expect(machine.console.text).toContain(`initrd=\\${ownName}\\initrd console=ttyS0 panic=3 trial=base`);
    },
  ));

it("takeover-entries: GRUB starts the armed entry once, under Secure Boot, and then the old system", () =>
  entryTrial(
    {
      ...{ loader: "grub", firmware: "secure-boot", way: grubEntry("/boot/grub"), old: "true" },
      armed: {
        name: "env",
        content: "# GRUB Environment Block\nimgbuild_once=yes\n".padEnd(1024, "#"),
      },
    },
    async (machine) => {
      const seen = await starts(machine, 3);
      expect(seen.slice(0, 3)).toEqual(["base, integrity", "old system, integrity", "old system, integrity"]);
      expect(machine.console.text).toContain(
        `/EFI/debian/${ownName}/kernel console=ttyS0 panic=3 trial=base`,
      );
    },
  ));

it("takeover-entries: under Secure Boot and lockdown the running kernel starts the base's, and none that was changed (F06)", () =>
  entryTrial(
    {
      ...{ loader: "grub", firmware: "secure-boot", way: kexecFile },
      old: `grep -q 'Debian Secure Boot CA' /proc/keys && echo 'trial: the key is there'
mkdir /kexec && tar -xzf /kit -C /kexec
load() { /kexec/ld.so --library-path /kexec/lib /kexec/kexec "$@" --initrd=/base.img --command-line="$words"; }
cp /kernel /changed && printf x | dd of=/changed bs=1 seek=4000000 conv=notrunc 2>/dev/null
load --load --kexec-file-syscall /changed && echo 'trial: it took the changed one'
load --load --kexec-file-syscall /kernel && /kexec/ld.so --library-path /kexec/lib /kexec/kexec --exec`,
    },
    async (machine) => {
      expect((await starts(machine, 2)).slice(0, 2)).toEqual(["old system, integrity", "base, integrity"]);
      expect(machine.console.text).toContain("trial: the key is there");
      expect(machine.console.text).toContain("kexec_file_load failed");
      expect(machine.console.text).not.toContain("it took the changed one");
    },
  ));
