import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { deployInputs, deployWorld, type Outside } from "../../../src/operator/deploy/inputs.ts";
import { cacheRoot } from "../../../src/system/files/cache.ts";
import { type Machine, openLab, type SshShell, type TestLab } from "../../../src/testing/index.ts";
import { buildStockHost, makeDataDisk, type StockHost } from "../../../src/testing/stock/stock-host.ts";
import { Fail } from "../../../src/util/fail.ts";
import { type Log, silentLog } from "../../../src/util/log.ts";
import type { MachineNic } from "../../../src/vm/machine/machine-parts.ts";
import { project } from "../imgbuild.ts";

/** The filesystem that `imgbuild/web` keeps, and what it holds before the first deploy. */
export const kept = {
  uuid: "7f1d9a54-3c0e-4b6a-9d58-2f6b1c8e4a90",
  name: "kept.txt",
  content: `${"What was here before every deploy, and stays.\n".repeat(4096)}`,
} as const;

/** A cable on which only frames of the stock host's VLAN go anywhere. */
const onVlan: MachineNic = {
  network: "internet",
  segments: [
    {
      vlan: 20,
      ipv4: { network: "10.0.2.0/24", host: "10.0.2.2", dns: "10.0.2.3", dhcpStart: "10.0.2.16" },
      guest: "10.0.2.15",
    },
  ],
};

/** A stock host, its two disks, and those who may log in. */
export interface StockLab {
  readonly lab: TestLab;
  readonly machine: Machine;
  readonly host: StockHost;
  /** root of the stock system. */
  readonly stock: SshShell;
  /** Its user with sudo. */
  readonly stockAdmin: SshShell;
  /** The administrator of `imgbuild/web`. */
  readonly admin: SshShell;
  /** Options of the command line by which the machine is reached as "target". */
  readonly login: readonly string[];
  readonly directory: string;
  close(): Promise<void>;
}

/** A stock Debian 12 host with its two disks, up and reachable; it is somebody else's, nothing of ours is on it. */
export async function startLab(options: {
  readonly firmware: "bios" | "uefi";
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
  readonly memoryMib?: number;
  /** Default "dhcp", on one card. */
  readonly network?: "bond-vlan";
  /** The machine has one that resets it (i6300esb). */
  readonly watchdog?: boolean;
  /** Default a temporary one. One that an earlier lab left holds its disks, and they are started. */
  readonly directory?: string;
}): Promise<StockLab> {
  const { firmware, log, env } = options;
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const host = await buildStockHost({
    ...{ cache: cacheRoot(env), log, env, ...signal },
    ...(options.network === undefined ? {} : { network: options.network }),
  });
  const place = options.directory === undefined ? {} : { directory: options.directory, keep: true };
  const lab = await openLab({ log, env, ...signal, ...place });
  try {
    const data = join(lab.directory, "data.raw");
    const again = existsSync(data);
    if (!again) await makeDataDisk({ file: data, uuid: kept.uuid, files: { [kept.name]: kept.content } });
    const machine = await lab.machine({
      name: `stock-${firmware}`,
      memoryMib: options.memoryMib ?? 1024,
      firmware,
      ...(options.watchdog === undefined ? {} : { watchdog: options.watchdog }),
      ...(options.network === undefined ? {} : { nics: [onVlan, onVlan] }),
      // Nobody looks inside but by SSH, as on a rented machine.
      shell: false,
      disks: [
        { image: host.system, serial: "IMGBUILD-SYSTEM" },
        { file: { file: data, format: "raw" }, serial: "IMGBUILD-DATA" },
      ],
    });
    const adminKey = join(lab.directory, "admin-key");
    await writeFile(adminKey, await readFile(join(project, "secrets/demo-admin-key")), { mode: 0o600 });
    const shell = (user: string, key: string) => machine.ssh({ user, key, pins: host.hostKeys });
    const stock = shell("root", host.key);
    const admin = shell("admin", adminKey);
    await log.task(
      `starting ${again ? "the host that imgbuild made" : "a stock Debian 12 host"}`,
      async () => {
        await machine.start();
        await (again ? admin : stock).waitForLogin();
      },
    );
    const login = await writeLogin(
      lab.directory,
      await machine.forward(22),
      host.key,
      adminKey,
      host.hostKeys,
    );
    return {
      ...{ lab, machine, host, stock, admin, login, directory: lab.directory },
      stockAdmin: shell("admin", host.key),
      close: () => lab.close(),
    };
  } catch (error) {
    await lab.close();
    throw error;
  }
}

async function writeLogin(
  directory: string,
  port: number,
  key: string,
  adminKey: string,
  hostKeys: readonly string[],
): Promise<string[]> {
  const config = join(directory, "ssh_config");
  const known = join(directory, "operator_known_hosts");
  await writeFile(known, hostKeys.map((one) => `[127.0.0.1]:${port} ${one}\n`).join(""));
  const lines = [
    "Host target",
    "  HostName 127.0.0.1",
    `  Port ${port}`,
    "  User root",
    `  IdentityFile ${key}`,
    `  IdentityFile ${adminKey}`,
    "  IdentityAgent none",
    `  UserKnownHostsFile ${known}`,
  ];
  await writeFile(config, `${lines.join("\n")}\n`);
  return ["--ssh-config", config, "--known-hosts", known];
}

/** Arguments with which `imgbuild deploy` redeploys the lab's machine as `imgbuild/web`, unattended. */
export function deployArguments(
  lab: StockLab,
  report: string,
  target = "target",
  definition = "imgbuild/web",
): string[] {
  return [
    ...["deploy", definition, target, ...lab.login, "--identity", "secrets/demo-identity.txt"],
    ...[
      "--unattended",
      "--yes-wipe",
      "IMGBUILD-SYSTEM",
      "--slow",
      String(lab.machine.scale),
      "--report",
      report,
    ],
  ];
}

/** The same deploy within this process, so that a test can change what is sent: its inputs, and the world that they go to. */
export async function deployHere(lab: StockLab, env: Readonly<Record<string, string | undefined>>) {
  const outside: Outside = {
    ...{
      env,
      cache: cacheRoot(env),
      log: silentLog,
      signal: new AbortController().signal,
      interactive: false,
    },
    askSecret: async () => {
      throw new Fail("no secret is asked for here");
    },
  };
  const [, config, , knownHosts] = lab.login;
  const options = {
    ...{ deadManSeconds: 600, slow: lab.machine.scale, identity: ["secrets/demo-identity.txt"] },
    // What happens before the first write does not depend on it, and a tree takes long to be sent.
    buildOn: "target" as const,
  };
  const inputs = await deployInputs("imgbuild/web", "target", options, outside);
  const files = { sshConfig: config!, knownHosts: knownHosts! };
  return { inputs, world: deployWorld("target", files, outside, async () => {}) };
}
