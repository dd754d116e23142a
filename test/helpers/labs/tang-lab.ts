import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { Luks } from "../../../src/schema/storage-content.ts";
import { clevisBind, trusting } from "../../../src/steps/disk/enroll-clevis.ts";
import { clevisPin } from "../../../src/storage/nodes/luks.ts";
import { fetchAdvertisement } from "../../../src/system/health/tang.ts";
import type { DefinedMachine, MachineNic, TestLab } from "../../../src/testing/index.ts";

const port = 7500;
const address = "192.0.2.10";
const bindBound = { withinSeconds: 120 };
type Pin = Parameters<typeof clevisBind<string>>[1];
/** The network's router would give addresses; here the server does. */
const dhcpServer = `[Network]
DHCPServer=yes
[DHCPServer]
PoolOffset=100
PoolSize=50
EmitDNS=no
EmitRouter=no
`;

export interface TangLab {
  readonly server: DefinedMachine;
  /** Of a machine beside it: a card for the test, and one on the server's network. */
  readonly nics: readonly MachineNic[];
  readonly thumbprint: string;
  /** How often a machine was helped to its key. */
  helped(): Promise<number>;
}

/** `imgbuild/tang`, up, on a network of its own. */
export async function tangLab(lab: TestLab): Promise<TangLab> {
  const network = lab.network("private");
  const server = await lab.machine({
    definition: "imgbuild/tang",
    memoryMib: 512,
    nics: [{ network: "internet" }, { network, mac: "52:54:00:4e:00:10" }],
  });
  await server.boot({ withinSeconds: 180 });
  const dropIn = "/run/systemd/network/10-private.network.d";
  await server.succeed(`mkdir -p ${dropIn} && cat > ${dropIn}/dhcp.conf && networkctl reload`, {
    stdin: dhcpServer,
  });
  // A socket on UDP port 67.
  await server.waitUntilSucceeds("grep -q ':0043 ' /proc/net/udp", { withinSeconds: 30 });
  return {
    server,
    nics: [{ network: "internet" }, { network }],
    thumbprint: (await server.succeed(`tang-show-keys ${port}`)).trim(),
    helped: async () =>
      Number(await server.succeed("journalctl --identifier tangd | grep -c 'POST /rec/.* => 200' || true")),
  };
}

/** Binds as a deploy does: the server is asked for its keys first, and the new system's clevis is told what it said. */
export async function bindToTang(
  machine: DefinedMachine,
  { server, thumbprint }: TangLab,
  { unlock }: Luks,
  key: string,
): Promise<void> {
  if (unlock.type !== "tang") throw new Error("the volume is not unlocked by tang");
  const url = `http://127.0.0.1:${await server.forward(port)}`;
  const { signal } = new AbortController();
  const wrong = fetchAdvertisement({ url, thumbprint: unlock.thumbprint }, signal);
  await expect(wrong).rejects.toThrow("has no signing key with the thumbprint");
  const said = await fetchAdvertisement({ url, thumbprint }, signal);
  expect(unlock.url).toBe(`http://${address}:${port}`);
  const pinFor = (one: typeof unlock) => {
    const { pin, config } = clevisPin(one)!;
    return { pin, config: trusting(config, said) };
  };
  // clevis itself compares the thumbprint once more: whoever answers in the server's place is refused.
  const refused = await machine.fail(await bindCommand(machine, pinFor(unlock)), {
    stdin: key,
    ...bindBound,
  });
  expect(refused.stderr).toContain("did not sign the advertisement");
  await bind(machine, pinFor({ ...unlock, thumbprint }), key);
}

/** The command of the deploy's own step, in the running system. */
export async function bind(machine: DefinedMachine, pin: Pin, key: string): Promise<void> {
  await machine.succeed(await bindCommand(machine, pin), { stdin: key, ...bindBound });
}

async function bindCommand(machine: DefinedMachine, pin: Pin): Promise<string[]> {
  const device = (await machine.succeed("blkid --match-token TYPE=crypto_LUKS --output device")).trim();
  const { argv, env } = clevisBind(device, pin);
  return ["env", "-i", ...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...argv];
}

/**
 * The root opens while tang is there and nothing is typed; when tang comes late, as after a power cut; and without it by the
 * passphrase. The first card has no cable in all of this: the address comes by the other.
 */
export async function opensByTang(
  machine: DefinedMachine,
  tang: TangLab,
  enter: (after: number) => Promise<void>,
): Promise<void> {
  const { server } = tang;
  await machine.block(0);
  const before = await tang.helped();
  await machine.reboot({ withinSeconds: 240 });
  expect(await tang.helped()).toBe(before + 1);

  await server.succeed("systemctl stop tangd.socket");
  await restart(machine, async (after) => {
    await machine.waitForConsole(/IP-Config: \S+ complete \(dhcp from 192\.0\.2\.10\)/, {
      withinSeconds: 120,
      after,
    });
    await sleep(20_000);
    expect(machine.console.since(after)).not.toMatch(/Welcome to/);
    await server.succeed("systemctl start tangd.socket");
  });
  expect(await tang.helped()).toBe(before + 2);

  await server.shutdown({ withinSeconds: 60 });
  const after = machine.console.mark();
  await restart(machine, enter);
  // Nobody asks for an address again behind the passphrase, with ever longer waits.
  expect(machine.console.since(after)).not.toMatch(/no response after 36 secs/);
  expect(await machine.succeed("findmnt --noheadings --output SOURCE /")).toContain("/dev/mapper/root");
}

/** `meanwhile` gets the place on the console where the restart begins. */
async function restart(machine: DefinedMachine, meanwhile: (after: number) => Promise<void>): Promise<void> {
  const after = machine.console.mark();
  await Promise.all([machine.reboot({ withinSeconds: 240 }), meanwhile(after)]);
  expect(machine.console.since(after)).toMatch(/Welcome to/);
}
