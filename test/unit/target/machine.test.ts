import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { hardware } from "../../../src/target/machine.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

it("a machine is known by its cards' own addresses, also while they are in a bond", () => {
  const sys = tempDir();
  const bond = "52:54:00:00:00:99";
  const cards = { eth0: "52:54:00:00:00:01", eth1: "52:54:00:00:00:02" };
  for (const [name, own] of Object.entries(cards)) {
    const dir = join(sys, "class/net", name);
    for (const part of ["device", "bonding_slave"]) mkdirSync(join(dir, part), { recursive: true });
    writeFileSync(join(dir, "address"), `${bond}\n`);
    writeFileSync(join(dir, "bonding_slave/perm_hwaddr"), `${own}\n`);
  }
  expect(hardware(sys).macs).toEqual(Object.values(cards));
});
