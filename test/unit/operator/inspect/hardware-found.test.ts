import { describe, expect, it } from "vitest";
import { cardsFound, firmwareFound } from "../../../../src/operator/inspect/hardware-found.ts";
import { Network } from "../../../../src/schema/network.ts";
import { machineFacts } from "../../../helpers/builders/deployable.ts";

const link = (name: string, mac: string) => ({ name, mac, mtu: 1500, up: true, addresses: [] });
const machine = machineFacts({ links: [link("lo", ""), link("eno1", "52:54:00:AA:BB:01")] });
const judged = (matches: Record<string, object>) =>
  cardsFound(
    {
      network: Object.fromEntries(
        Object.entries(matches).map(([name, match]) => [name, Network.parse({ match })]),
      ),
    },
    machine,
  );

describe("the cards of a definition", () => {
  it("are not judged where it names none by address", () => {
    expect(judged({ lan: { name: "en*" } })).toEqual([]);
    expect(judged({})).toEqual([]);
  });

  it("are found in any case of letters", () => {
    expect(judged({ lan: { mac: "52:54:00:aa:bb:01" } })).toMatchObject([{ verdict: "go" }]);
  });

  it("are refused where the machine has none of them, with what it has and what to say", () => {
    expect(judged({ lan: { mac: "52:54:00:00:00:01" } })).toEqual([
      {
        check: "cards",
        verdict: "no-go",
        detail: "the machine has no card lan (52:54:00:00:00:01); it has eno1 52:54:00:aa:bb:01",
        hint: "name the card that takes its place by --card lan=MAC, or in the definition",
      },
    ]);
  });

  it("are a warning where another link may work", () => {
    const gone = { mac: "52:54:00:00:00:02" };
    expect(judged({ lan: { mac: "52:54:00:aa:bb:01" }, san: gone })).toMatchObject([{ verdict: "warn" }]);
    expect(judged({ lan: { name: "en*" }, san: gone })).toMatchObject([{ verdict: "warn" }]);
  });
});

describe("the firmware of another machine", () => {
  const served = (firmware: string[]) =>
    firmwareFound({ boot: { firmware } } as never, machineFacts({ firmware: "uefi" }));

  it("may be either where the definition serves both", () => {
    expect(served(["bios", "uefi"])).toMatchObject({ verdict: "go" });
  });

  it("is refused where the definition serves the other alone, with what to say", () => {
    expect(served(["bios"])).toMatchObject({
      verdict: "no-go",
      detail: "the host starts by uefi, the definition serves bios",
      hint: expect.stringMatching(/firmware to bios, or add "uefi" to boot.firmware .* \(type esp\)/),
    });
  });
});
