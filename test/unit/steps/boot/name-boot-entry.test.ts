import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { entriesOf, entryProblem, nameBootEntry } from "../../../../src/steps/boot/name-boot-entry.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";

// As efibootmgr 17 and 18 print it.
const printed = [
  "BootCurrent: 0003",
  "Timeout: 0 seconds",
  "BootOrder: 0003,0001,0000,000A",
  "Boot0000* UiApp\tFvVol(7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1)/FvFile(462caa21)",
  "Boot0001* UEFI Misc Device\tPciRoot(0x0)/Pci(0x5,0x0){auto_created_boot_option}",
  "Boot0003* web\tHD(2,GPT,2f0c,0x1000,0x80000)/File(\\EFI\\systemd\\systemd-bootx64.efi)",
  "Boot0004* web2\tHD(2,GPT,2f0c,0x1000,0x80000)",
  "Boot000A  web\tHD(2,GPT,77aa,0x1000,0x80000)",
  "Boot001B* my web",
  "Boot001C* web",
  "",
].join("\n");

describe("entriesOf", () => {
  it("finds the entries with exactly that label, active or not, with a path or without", () => {
    expect(entriesOf(printed, "web")).toEqual(["0003", "000A", "001C"]);
    expect(entriesOf(printed, "UEFI Misc Device")).toEqual(["0001"]);
  });

  it("finds none where there is none, and takes no pattern for a label", () => {
    expect(entriesOf(printed, "we")).toEqual([]);
    expect(entriesOf(printed, "w.b")).toEqual([]);
    expect(entriesOf("EFI variables are not supported on this system.\n", "web")).toEqual([]);
  });
});

describe("entryProblem", () => {
  const loader = "\\EFI\\systemd\\systemd-bootx64.efi";
  const kept = printed
    .replace("Boot001C* web", "Boot001C* other")
    .replace("Boot000A  web", "Boot000A  other");

  it("finds none where the firmware kept the entry and put it first, however it writes the path", () => {
    expect(entryProblem(kept, "web", loader)).toBeUndefined();
    expect(entryProblem(kept.replace(/File\((.*)\)/, "$1"), "web", loader.toUpperCase())).toBeUndefined();
  });

  it.each([
    ["none", kept.replace("* web\t", "* odd\t"), "the firmware did not keep the boot entry web"],
    ["several", printed, "the firmware has 3 boot entries named web"],
    ["another program", kept.replace("systemd-boot", "grub"), "does not start \\EFI\\systemd"],
    ["another order", kept.replace("0003,0001", "0001,0003"), "is not the first in the firmware's order"],
  ])("tells of %s", (_what, text, message) => {
    expect(entryProblem(text, "web", loader)).toContain(message);
  });
});

describe("name-boot-entry", () => {
  const mib = 2 ** 20;
  const part = { number: 3, startBytes: mib, sizeBytes: mib };
  const loader = "\\EFI\\systemd\\systemd-bootx64.efi";
  const good = `BootOrder: 0007\nBoot0007* web\tHD(3)/File(${loader})\n`;

  function bench(answers: Answers = {}, variables = true) {
    const made = fakeMachine();
    const disk = made.disk("vda", 4 * mib, [part]);
    if (variables) made.put("sys/firmware/efi/efivars/BootOrder-x", "");
    const one = stepBench({ machine: made.machine, answers });
    const input = { partition: made.part(disk, part), label: "web", loader };
    return { ...made, ...one, disk, run: async () => await nameBootEntry.run(input, one.context) };
  }

  it("takes entries of that name out of the list, and enters the new one first", async () => {
    const { run, asked, said, options, machine } = bench({
      efibootmgr: { stdout: printed },
      "efibootmgr --verbose": { stdout: good },
    });
    await run();
    expect(asked).toEqual([
      "efibootmgr",
      ...["0003", "000A", "001C"].map((number) => `efibootmgr --quiet --bootnum ${number} --delete-bootnum`),
      `efibootmgr --quiet --create --disk ${machine.dev}/vda --part 3 --label web --loader ${loader}`,
      "efibootmgr --verbose",
    ]);
    expect(said).toEqual([]);
    expect(options).toEqual(Array(6).fill({ timeoutMs: 60_000 }));
  });

  it("says what the firmware has kept instead, and goes on", async () => {
    const { run, said } = bench({ "efibootmgr --verbose": { stdout: "" } });
    await run();
    expect(said).toEqual([
      "warn the firmware did not keep the boot entry web; the firmware will find the removable path",
    ]);
  });

  it("goes on where the firmware takes no entry, and where its variables are out of reach", async () => {
    const refusing = bench({ "efibootmgr --quiet --create": new Error("no space") });
    await refusing.run();
    expect(refusing.said).toEqual([expect.stringMatching(/^warn the firmware does not take .*: no space$/)]);
    for (const without of [bench({}, false), bench()]) {
      rmSync(join(without.dir, "sys/firmware/efi/efivars/BootOrder-x"), { force: true });
      await without.run();
      expect([without.asked, without.said]).toEqual([[], [expect.stringMatching(/^info .*out of reach/)]]);
    }
  });

  it("refuses a partition that is not there", async () => {
    const { run, put, asked } = bench();
    put("sys/block/vda/vda3/size", "1\n");
    await expect(run()).rejects.toThrow("partition 3 of disk the-vda lies at");
    expect(asked).toEqual([]);
  });
});
