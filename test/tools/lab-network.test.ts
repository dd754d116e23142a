import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cardsOf } from "../../src/testing/cards.ts";
import { readNetworkd } from "../../src/testing/networkd.ts";
import type { NicShape } from "../../src/vm/machine/command.ts";
import { forwardsBy } from "../../src/vm/machine/forwards.ts";
import { startQemu } from "../../src/vm/machine/qemu.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const vlan = {
  "/etc/systemd/network/20-v40.netdev": "[NetDev]\nName=v40\nKind=vlan\n[VLAN]\nId=40\n",
  "/etc/systemd/network/30-v40.network":
    "[Match]\nName=v40\n[Network]\nAddress=192.0.2.10/24\nGateway=192.0.2.1\n",
};

describe("QEMU's own network", () => {
  it.each([
    ["DHCP=yes", "10.0.2.15"],
    [
      "Address=192.0.2.10/24\nAddress=2001:db8:7::10/64\nGateway=192.0.2.1\nGateway=2001:db8:7::1",
      "192.0.2.10",
    ],
    ["Address=192.0.2.10/24\nGateway=192.0.2.1\nDNS=192.0.2.53", "192.0.2.10"],
    ["Address=203.0.113.5/32\n[Route]\nGateway=172.31.1.1\nGatewayOnLink=yes", "203.0.113.5"],
    ["Address=203.0.113.5/31\nGateway=203.0.113.4", "203.0.113.5"],
    ["Address=203.0.113.5/30\nGateway=203.0.113.6", "203.0.113.5"],
    ["Address=10.0.2.3/16\nGateway=10.0.0.1", "10.0.2.3"],
    ["Address=203.0.113.5/24", "203.0.113.5"],
    ["Address=2001:db8:7::10/64\nGateway=fe80::1", "10.0.2.15"],
    ["Address=2001:db8:7::1/64\nGateway=fe80::1", "10.0.2.15"],
    ["Address=2001:db8:7::5/127\nGateway=2001:db8:7::4", "10.0.2.15"],
    ["Address=2001:db8:7::5/128\n[Route]\nGateway=2001:db8:8::1", "10.0.2.15"],
    ["VLAN=v40", "192.0.2.10"],
  ])("takes what is made of: %s", async (network, guest) => {
    const files = {
      ...vlan,
      "/etc/systemd/network/10-a.network": `[Match]\nName=en*\n[Network]\n${network}\n`,
    };
    const nics = cardsOf(readNetworkd(new Map(Object.entries(files)))).map(
      ({ segments }): NicShape => ({ kind: "user", ...(segments && { segments }) }),
    );
    const qemu = await startQemu({
      ...{ name: "one", memoryMib: 64, cpus: 1, accelerator: "tcg", disks: [], nics },
      consoleFile: join(tempDir(), "console.log"),
    });
    try {
      const monitor = (line: string) => qemu.qmp.execute("human-monitor-command", { "command-line": line });
      const by = forwardsBy(nics)!;
      expect(await monitor(`hostfwd_add ${by.netdev} tcp:127.0.0.1:0-${by.guest}:22`)).toBe("");
      expect(await monitor("info usernet")).toMatch(
        new RegExp(`HOST_FORWARD.* ${guest.replaceAll(".", "\\.")} +22 `),
      );
    } finally {
      await qemu.stop();
    }
  });
});
