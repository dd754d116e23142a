import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { freeCards, waitForCard } from "../../../../src/target/network/cards.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const mac = "52:54:00:12:34:56";

/** A /sys with cards, each at a place of its own; files of theirs by name. */
function sysOf(
  cards: Readonly<Record<string, { at?: string; files?: Readonly<Record<string, string>> }>>,
): string {
  const sys = tempDir();
  for (const [name, { at, files = {} }] of Object.entries(cards)) {
    const dir = join(sys, "class/net", name);
    mkdirSync(dir, { recursive: true });
    for (const [file, text] of Object.entries({ address: mac, ...files })) {
      mkdirSync(dirname(join(dir, file)), { recursive: true });
      writeFileSync(join(dir, file), `${text}\n`);
    }
    if (at === undefined) continue;
    mkdirSync(join(sys, "devices", at), { recursive: true });
    symlinkSync(join(sys, "devices", at), join(dir, "device"));
  }
  return join(sys, "class/net");
}

const find = (sys: string, more: object = {}, made: string[] = []) =>
  waitForCard({ mac, ...more }, new Set(made), sys);

describe("waitForCard (F09)", () => {
  it("knows two cards with the same MAC by where they are plugged in, and two ports of one by their numbers", async () => {
    const sys = sysOf({
      one: { at: "pci0000:00/0000:00:03.0/virtio1", files: { dev_port: "0" } },
      two: { at: "pci0000:00/0000:00:04.0", files: { dev_port: "0" } },
      three: { at: "pci0000:00/0000:00:04.0", files: { dev_port: "1" } },
    });
    expect(await find(sys, { path: "pci0000:00/0000:00:04.0" })).toBe("two");
    expect(await find(sys, { path: "pci0000:00/0000:00:04.0#1" })).toBe("three");
    // Which number a virtio device has is another thing under another kernel.
    expect(await find(sys, { path: "pci0000:00/0000:00:03.0" })).toBe("one");
  });

  it("finds a card again that a runner before it has put into a bond, or given another address", async () => {
    const files = { address: "52:54:00:00:00:01", "bonding_slave/perm_hwaddr": mac, "master/address": "" };
    expect(await find(sysOf({ bonded: { files } }))).toBe("bonded");
    const changed = sysOf({ changed: { files: { address: "52:54:00:00:00:02" } } });
    expect(await find(changed, { address: "52:54:00:00:00:02" })).toBe("changed");
  });

  it("takes no link for a card that it has made, whose MAC is the card's", async () => {
    const files = { brport: "", "master/address": "" };
    expect(await find(sysOf({ br0: {}, card: { files } }), {}, ["br0"])).toBe("card");
  });
});

describe("freeCards", () => {
  it("are those by their hardware that are part of nothing", () => {
    const at = "pci0000:00/0000:00:03.0";
    const sys = sysOf({ lo: {}, bond0: {}, free: { at }, bonded: { at, files: { "master/address": "" } } });
    expect(freeCards(sys)).toEqual(["free"]);
  });
});
