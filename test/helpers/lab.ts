import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { cacheRoot } from "../../src/system/cache.ts";
import type { Log } from "../../src/util/log.ts";
import { accelerator } from "../../src/vm/accelerator.ts";
import { createOverlay } from "../../src/vm/disk-image.ts";
import { type Machine, startMachine } from "../../src/vm/machine.ts";
import { type GuestLogin, waitForSsh } from "./guest.ts";
import { buildStockHost, makeDataDisk } from "./stock-host.ts";

/** One machine at a time, across all test runs of this computer. */
const machineLock = join(tmpdir(), "imgbuild-vm.lock");
/** From power-on to a login, on real hardware. */
const bootMs = 60_000;
const project = resolve(import.meta.dirname, "../..");

/** The filesystem that `imgbuild/web` keeps, and what it holds before the first deploy. */
export const kept = {
  uuid: "7f1d9a54-3c0e-4b6a-9d58-2f6b1c8e4a90",
  name: "kept.txt",
  content: `${"What was here before every deploy, and stays.\n".repeat(4096)}`,
} as const;

export interface Lab {
  readonly machine: Machine;
  readonly directory: string;
  readonly dataFile: string;
  readonly systemFile: string;
  /** Options of the command line by which the machine is reached as "target". */
  readonly login: readonly string[];
  readonly stock: GuestLogin;
  /** The administrator of `imgbuild/web`. */
  readonly admin: GuestLogin;
  stop(): Promise<void>;
}

/** A stock Debian 12 host with its two disks, up and reachable; it is somebody else's, nothing of ours is on it. */
export async function startLab(options: {
  readonly directory: string;
  readonly firmware: "bios" | "uefi";
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
  readonly memoryMib?: number;
  /** Start the disks that an earlier lab left in the directory: a host that imgbuild made. */
  readonly again?: boolean;
}): Promise<Lab> {
  const { directory, firmware, log, env } = options;
  const cache = cacheRoot(env);
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const host = await buildStockHost({ cache, log, ...signal });
  await mkdir(directory, { recursive: true });
  const systemFile = join(directory, "system.qcow2");
  const dataFile = join(directory, "data.raw");
  if (!options.again) {
    await createOverlay(host.system, systemFile);
    await makeDataDisk({ file: dataFile, uuid: kept.uuid, files: { [kept.name]: kept.content } });
  }
  const what = options.again ? "the host that imgbuild made" : "a stock Debian 12 host";
  const machine = await log.task(`starting ${what} under ${firmware}`, async () =>
    startMachine({
      name: `stock-${firmware}`,
      memoryMib: options.memoryMib ?? 1024,
      cpus: 2,
      firmware,
      disks: [
        { file: systemFile, format: "qcow2", serial: "IMGBUILD-SYSTEM" },
        { file: dataFile, format: "raw", serial: "IMGBUILD-DATA" },
      ],
      forwards: [22, 80],
      directory,
      accelerator: await accelerator({ cache, override: env.IMGBUILD_ACCEL, log }),
      lock: machineLock,
      log,
      ...signal,
    }),
  );
  try {
    const adminKey = join(directory, "admin-key");
    await writeFile(adminKey, await readFile(join(project, "secrets/demo-admin-key")), { mode: 0o600 });
    const login = await writeLogin(directory, machine.port(22), host.key, adminKey, host.hostKeys);
    const stock = { user: "root", key: host.key, pins: host.hostKeys };
    const admin = { user: "admin", key: adminKey, pins: host.hostKeys };
    await log.task("waiting for its login", () =>
      waitForSsh(machine, { ...(options.again ? admin : stock), timeoutMs: bootMs * machine.scale }),
    );
    return { machine, directory, dataFile, systemFile, login, stock, admin, stop: () => machine.stop() };
  } catch (error) {
    await machine.stop();
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
  lab: Lab,
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

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line as users run it, in a process of its own. */
export async function imgbuild(
  args: readonly string[],
  options: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly timeoutMs: number;
    /** Show what it says as it comes. */
    readonly show?: boolean;
    readonly onStart?: (child: ChildProcess) => void;
    readonly stdin?: string;
  },
): Promise<Ran> {
  const child = spawn(join(project, "bin/imgbuild"), args, {
    cwd: project,
    env: { ...options.env },
    stdio: "pipe",
  });
  options.onStart?.(child);
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
      if (options.show) process[name].write(chunk);
    });
  child.stdin.on("error", () => {});
  child.stdin.end(options.stdin ?? "");
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  return { code: code ?? 128, ...text };
}
