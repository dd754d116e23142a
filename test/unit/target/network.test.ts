import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { restoreNetwork } from "../../../src/target/network.ts";
import { silentLog } from "../../../src/util/log.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const mac = "52:54:00:12:34:56";
const nothing = { addresses: [], routes: [] };
const link = { mac, mtu: 1400, dhcp4: false, ...nothing, given: nothing };

function sysClassNet(links: Readonly<Record<string, string>>): string {
  const dir = tempDir();
  for (const [name, address] of Object.entries(links)) {
    mkdirSync(join(dir, name));
    writeFileSync(join(dir, name, "address"), `${address}\n`);
  }
  return dir;
}

describe("restoreNetwork (F09)", () => {
  it("finds the link by its MAC, whatever the kernel calls it now, and sets that one up", async () => {
    const told: string[] = [];
    const log = { ...silentLog, info: (message: string) => void told.push(message) };
    const sys = sysClassNet({ lo: "00:00:00:00:00:00", imgbuild9x: "52:54:00:00:00:01", imgbuild9y: mac });
    // No such link is on this machine, so the first command names it and fails.
    await expect(restoreNetwork({ links: [link], dns: [] }, log, sys)).rejects.toThrow(
      /^ip link set dev imgbuild9y mtu 1400 up exited \d/,
    );
    expect(told).toEqual([`${mac} is imgbuild9y`]);
  });

  it("waits for a link whose driver is late", async () => {
    const sys = sysClassNet({ lo: "00:00:00:00:00:00" });
    const late = setTimeout(() => {
      mkdirSync(join(sys, "imgbuild9z"));
      writeFileSync(join(sys, "imgbuild9z", "address"), `${mac}\n`);
    }, 100);
    await expect(restoreNetwork({ links: [link], dns: [] }, silentLog, sys)).rejects.toThrow(/imgbuild9z/);
    clearTimeout(late);
  });

  it("goes on with the other links when one fails, and tells of each", async () => {
    const told: string[] = [];
    const log = { ...silentLog, info: (message: string) => void told.push(message) };
    const second = { ...link, mac: "52:54:00:12:34:57" };
    const sys = sysClassNet({ imgbuild9x: mac, imgbuild9y: second.mac });
    await expect(restoreNetwork({ links: [link, second], dns: [] }, log, sys)).rejects.toThrow(
      /imgbuild9x[\s\S]*; ip link set dev imgbuild9y/,
    );
    expect(told.sort()).toEqual([`${mac} is imgbuild9x`, `${second.mac} is imgbuild9y`]);
  });

  it("takes a card itself, and not a part of it with the same address", async () => {
    const sys = sysClassNet({ imgbuild9a: mac, imgbuild9b: mac });
    mkdirSync(join(sys, "imgbuild9a", "master"));
    await expect(restoreNetwork({ links: [link], dns: [] }, silentLog, sys)).rejects.toThrow(/imgbuild9b/);
  });

  it("asks by DHCP on every card that is part of nothing where no way out is left, and only there", async () => {
    const warned: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warned.push(message) };
    const sys = sysClassNet({
      imgbuild9x: mac,
      imgbuild9y: "52:54:00:12:34:57",
      imgbuild9z: "52:54:00:12:34:58",
    });
    for (const name of ["imgbuild9x", "imgbuild9y", "imgbuild9z"]) mkdirSync(join(sys, name, "device"));
    mkdirSync(join(sys, "imgbuild9z", "master"));
    const out = { ...link, name: "wan", routes: [{ to: "default", via: "192.0.2.1", onLink: false }] };
    const failing = restoreNetwork({ links: [out], dns: [] }, log, sys);
    await expect(failing).rejects.toThrow(/ip link set dev imgbuild9x/);
    expect(warned).toEqual([expect.stringMatching(/by DHCP on imgbuild9x, imgbuild9y$/)]);
  });

  it("gives a bond up where none of its cards can join, and names the first reason", async () => {
    const sys = sysClassNet({ imgbuild9x: mac });
    const device = { kind: "bond" as const, options: { mode: "active-backup" }, members: ["one", "two"] };
    const bond = { ...link, name: "imgbuild9b", device };
    // A member that the replay does not have is as one that never comes.
    await expect(restoreNetwork({ links: [{ ...bond }], dns: [] }, silentLog, sys)).rejects.toThrow(
      /^imgbuild9b is made of one, which is not here$/,
    );
  });

  it("does nothing where nothing is to be restored", async () => {
    await expect(restoreNetwork({ links: [], dns: [] }, silentLog, "/nonexistent")).resolves.toBeUndefined();
  });
});
