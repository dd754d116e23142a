import { describe, expect, it } from "vitest";
import { entriesOf } from "../../src/steps/name-boot-entry.ts";

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
