import { describe, expect, it } from "vitest";
import { chooseBuildOn } from "../../../../src/operator/tree/build-on.ts";
import { machineFacts } from "../../../helpers/builders/deployable.ts";

const mib = 2 ** 20;
const ways = {
  asked: undefined,
  facts: machineFacts({ memoryMib: { total: 1024, available: 800 }, cacheMib: 4000 }),
  baseBytes: 110 * mib,
  packagesBytes: 76 * mib,
  tree: { bytes: 100 * mib },
  before: undefined,
} as const;

describe("where the tree is made", () => {
  it("is here where the host's RAM has room for it, and at the host otherwise", () => {
    const local = chooseBuildOn(ways);
    expect(local).toMatchObject({ buildOn: "local", treeBytes: 100 * mib });
    const small = { ...ways.facts, memoryMib: { total: 512, available: 400 } };
    const target = chooseBuildOn({ ...ways, facts: small });
    expect(target).toMatchObject({ buildOn: "target", treeBytes: 0 });
    expect(target.lines[0]).toMatch(/not chosen by itself: the host's RAM is too small/);
    // What will still come over the network when the disks are being written.
    expect(target.lines[1]).toMatch(
      /mostly after the first write, as RAM is short of the 716 MiB to hold them \(2 × base 110 \+ packages 76 \+ work 420\)/,
    );
  });

  it("is at the host where kexec has no room for a tree, and another way into the base would have", () => {
    const grub = {
      ...{ loader: "grub" as const, directory: "/boot/grub", fsType: "ext4", plain: true, freeMib: 900 },
      reads: ["custom.cfg", "load_env"],
    };
    const facts = machineFacts({
      ...{ memoryMib: { total: 1024, available: 300 }, cacheMib: 4000 },
      ...{ bootPlaces: [grub], cmdline: ["BOOT_IMAGE=/vmlinuz"] },
    });
    const choice = chooseBuildOn({ ...ways, facts });
    expect(choice).toMatchObject({ buildOn: "target", takeover: { way: { name: "kexec" } } });
    expect(choice.lines[0]).toMatch(/not chosen by itself: the base would be started by boot-entry for it/);
    const asked = chooseBuildOn({ ...ways, facts, asked: "local" });
    expect(asked).toMatchObject({ buildOn: "local", takeover: { way: { name: "boot-entry" } } });
  });

  it("is at the host where no tree can be made here, with the reason", () => {
    const choice = chooseBuildOn({ ...ways, tree: { problem: "making a tree needs root" } });
    expect(choice.buildOn).toBe("target");
    expect(choice.lines[0]).toMatch(/not chosen by itself: making a tree needs root$/);
  });

  it("is where it was asked for, whatever we would choose", () => {
    expect(chooseBuildOn({ ...ways, asked: "target" })).toMatchObject({ buildOn: "target", treeBytes: 0 });
    const tiny = { ...ways.facts, memoryMib: { total: 1, available: 1 } };
    expect(chooseBuildOn({ ...ways, asked: "local", facts: tiny }).buildOn).toBe("local");
  });

  it("is beside the old system only where that was asked for, and then takes the RAM of a tree that is sent", () => {
    const large = { ...ways.facts, memoryMib: { total: 8192, available: 7900 } };
    expect(chooseBuildOn({ ...ways, facts: large }).buildOn).toBe("local");
    const problem = { problem: "making a tree needs root" };
    expect(chooseBuildOn({ ...ways, facts: large, tree: problem }).buildOn).toBe("target");
    const host = chooseBuildOn({ ...ways, facts: large, asked: "host", tree: problem });
    expect(host).toMatchObject({ buildOn: "host", room: { on: "memory" } });
    expect(host.treeBytes).toBe(Math.ceil(76 * mib * 1.6));
    const before = { downtimeSeconds: { host: 61, local: 90 } };
    expect(chooseBuildOn({ ...ways, before }).lines[2]).toMatch(/downtime 61 s the last time$/);
    const without = { ...ways.facts, lacksForTree: ["user namespaces"] };
    expect(chooseBuildOn({ ...ways, facts: without }).lines[2]).toBe(
      "host: not possible: the old system's kernel does not give user namespaces",
    );
  });

  it("counts with more than the packages' files where no tree was made yet", () => {
    const { treeBytes, lines } = chooseBuildOn({ ...ways, tree: { bytes: undefined } });
    expect(treeBytes).toBe(Math.ceil(76 * mib * 1.6));
    expect(lines[0]).toMatch(/^local: about 122 MiB of tree to send/);
  });

  it("is shown with the terms of each sum, and with what deploys of before have shown", () => {
    expect(chooseBuildOn(ways).lines).toEqual([
      "local: 100 MiB of tree to send (at a rate that was not measured yet); RAM 580 of 1024 MiB (2 × base 110 + 2 × tree 100 + kernel 160), in the old system 468 of 800 MiB (2 × base 110 + 2 × tree 100 + old system 48); downtime about two restarts, and the time to unpack",
      "target: the host fetches 76 MiB of packages, before the first write, into RAM (2 × base 110 + packages 76 + work 420); RAM 640 of 1024 MiB (2 × base 110 + work 420), in the old system 268 of 800 MiB (2 × base 110 + old system 48); downtime until all packages are configured, minutes",
      "host: the old system fetches 76 MiB of packages and makes the tree, at low priority, in 532 MiB of disk (unpacked 304 + packed 100 + work 128), and nothing of it is sent; RAM 580 of 1024 MiB (2 × base 110 + 2 × tree 100 + kernel 160), in the old system 468 of 800 MiB (2 × base 110 + 2 × tree 100 + old system 48); downtime about two restarts, and the time to unpack",
    ]);
    const before = { bytesPerSecond: 2 * mib, downtimeSeconds: { local: 90, target: 812.4 } };
    const [local, target] = chooseBuildOn({ ...ways, before }).lines;
    expect(local).toMatch(/to send, 50 s at 2\.0 MiB\/s as before; .*downtime 90 s the last time$/);
    expect(target).toMatch(/downtime 812 s the last time$/);
  });
});
