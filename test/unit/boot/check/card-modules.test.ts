import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { cardModules } from "../../../../src/boot/check/card-modules.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

it("names what drives the network cards, but not what is built in or is no card", async () => {
  const sys = tempDir();
  const link = (name: string, driver?: string, builtin = false) => {
    mkdirSync(join(sys, "class/net", name), { recursive: true });
    if (driver === undefined) return;
    const [module, device] = [join(sys, "module", driver), join(sys, "class/net", name, "device")];
    mkdirSync(module, { recursive: true });
    if (!builtin) writeFileSync(join(module, "initstate"), "live\n");
    mkdirSync(join(sys, "drivers", driver), { recursive: true });
    symlinkSync(module, join(sys, "drivers", driver, "module"));
    mkdirSync(device);
    symlinkSync(join(sys, "drivers", driver), join(device, "driver"));
  };
  link("lo");
  link("enp0s3", "virtio_net");
  link("eno1", "igb");
  link("eth9", "hv_netvsc", true);
  expect(await cardModules(sys)).toEqual(["igb", "virtio_net"]);
  expect(await cardModules(join(sys, "nothing"))).toEqual([]);
});
