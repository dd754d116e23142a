import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { definitionDigest } from "../operator/definition/digest.ts";
import { deploy } from "../operator/deploy/deploy.ts";
import { deployInputs, deployWorld, type Outside, requireStorage } from "../operator/deploy/inputs.ts";
import { needsOf } from "../operator/inspect/needs.ts";
import { type OpenDefinition, openDefinition } from "../operator/lock/open-definition.ts";
import { rehearsedReport } from "../operator/report/rehearsed.ts";
import { reportPage } from "../operator/report/report-page.ts";
import { writeReport } from "../operator/report/write-report.ts";
import { testSecrets } from "../operator/secrets/test-secrets.ts";
import { networkdFiles, testImage, withTestKey } from "../operator/test/test-image.ts";
import type { Report } from "../schema/report.ts";
import type { Spec } from "../schema/spec.ts";
import { mountsOf } from "../storage/graph/check-storage.ts";
import { run } from "../system/run/run.ts";
import { installHint } from "../tables/distribution.ts";
import { stockRelease } from "../tables/release.ts";
import { generateSshKey } from "../transport/keys.ts";
import { sha256 } from "../util/digest.ts";
import { Fail } from "../util/fail.ts";
import type { Machine, MachineDisk, MachineNic } from "../vm/machine/machine.ts";
import { isWired } from "../vm/network/segment.ts";
import { cardsOf } from "./cards.ts";
import { type CheckResult, machineChecks } from "./checks.ts";
import { openTestLab, type TestLab, type TestLabOptions } from "./lab.ts";
import { loginFiles } from "./login-files.ts";
import { readNetworkd } from "./networkd.ts";
import { buildStockHost } from "./stock/stock-host.ts";

/** A disk that stands in for a disk of the host, with what is on it. */
const leastDiskBytes = 4 * 2 ** 30;
const deadManSeconds = 600;
/** What a kept disk holds before the deploy, and must hold after it. */
const keptName = "imgbuild-rehearsal.txt";
const keptText = "What a rehearsed deploy must not touch.\n".repeat(1000);

export interface Rehearsal {
  readonly report: Report;
  readonly checks: readonly CheckResult[];
  /** How the machine ran; times of an emulated machine say little about a real one. */
  readonly accelerator: string;
}

/** What stands in for the host: "stock:bookworm", a definition, or a disk image with a login. */
interface Origin {
  readonly from: string;
  /** For a disk image: who may log in, and the file of the key. */
  readonly login?: { readonly user: string; readonly key: string };
}

/**
 * Deploys the definition onto a VM that stands in for its host: the same plan, phases and proofs as on the real one, with
 * made-up secrets, a login of its own, and kept disks that hold a file to be found again.
 */
export async function rehearse(
  path: string,
  origin: Origin,
  firmware: "bios" | "uefi",
  options: TestLabOptions & Pick<Outside, "askSecret">,
  reportFile?: string,
): Promise<Rehearsal> {
  const { log, signal } = options;
  const definition = await openDefinition(path, { check: ({ spec }) => requireStorage(spec, path) });
  const { spec } = definition;
  const lab = await openTestLab(options);
  try {
    const host = await standIn(definition, origin, firmware, lab, options);
    const { machine } = host;
    const home = join(lab.directory, "operator");
    await mkdir(home, { recursive: true });
    await log.task(`starting ${origin.from}`, () => host.start());
    const ssh = await loginFiles("target", home, machine, host);
    const scale = machine.scale;
    // The rehearsal leaves nothing in the operator's own files, and finds none of their keys.
    const env = { ...options.env, HOME: home, XDG_STATE_HOME: home, SSH_AUTH_SOCK: undefined };
    const outside: Outside = { ...options, env, interactive: false };
    // What fails is among the checks that the rehearsal ends with.
    const settings = {
      deadManSeconds,
      slow: scale,
      withoutSecrets: true,
      acceptDegraded: true,
    };
    const plain = await deployInputs(path, "target", settings, outside);
    const { spec: changed, secrets } = withTestKey(
      withLogin(plain.spec, host.publicKey),
      await testSecrets(definition),
    );
    const report = await deploy(
      {
        ...plain,
        spec: changed,
        secrets,
        definition: definitionDigest(changed, plain.lock, plain),
      },
      deployWorld("target", ssh, outside, async () => {}),
    );
    const write = async (now: Report) => {
      if (reportFile !== undefined) await writeReport(reportFile, now, reportPage(now));
    };
    await write(report);
    if (report.outcome !== "done")
      throw new Fail(`the rehearsed deploy ended as "${report.outcome}": ${report.message ?? ""}`, {
        ...(report.hint === undefined ? {} : { hint: report.hint }),
      });
    await machine.boot();
    const [hostKey = ""] = host.hostKeys;
    const checks = [
      ...report.health,
      ...(await log.task("checking", (inner) =>
        machineChecks({ spec, hostKey }, machine, { log: inner, signal }),
      )),
      ...(await keptChecks(spec, machine)),
    ];
    const rehearsed = rehearsedReport(report, checks);
    await write(rehearsed);
    return { report: rehearsed, checks, accelerator: lab.accelerator.name };
  } finally {
    await lab.close();
  }
}

interface StandIn {
  readonly machine: Machine;
  readonly user: string;
  readonly key: string;
  readonly publicKey: string;
  readonly hostKeys: readonly string[];
  start(): Promise<void>;
}

async function standIn(
  definition: OpenDefinition,
  origin: Origin,
  firmware: "bios" | "uefi",
  lab: TestLab,
  options: TestLabOptions,
): Promise<StandIn> {
  const key = join(lab.directory, "login");
  const login = generateSshKey("imgbuild-rehearsal");
  await writeFile(key, login.private, { mode: 0o600 });
  const nics = cardsForBoth(definition);
  const machineWith = async (system: NonNullable<MachineDisk["image"]>) =>
    await lab.machine({
      name: "host",
      firmware,
      memoryMib: 1024,
      nics,
      tpm: needsOf(definition.spec).machine.tpm2 !== undefined,
      disks: await disksFor(definition, system, lab, options),
    });
  if (origin.from.startsWith("stock:")) {
    if (origin.from !== `stock:${stockRelease}`)
      throw new Fail(`--from ${origin.from}: only stock:${stockRelease} can be built`, { exitCode: 2 });
    const stock = await buildStockHost(options);
    const machine = await machineWith(stock.system);
    const root = machine.ssh({ user: "root", key: stock.key, pins: stock.hostKeys });
    return {
      ...{ machine, user: "root", key: stock.key, hostKeys: stock.hostKeys },
      publicKey: (await run(["ssh-keygen", "-y", "-f", stock.key])).stdout.trim(),
      start: async () => {
        await machine.start();
        await root.waitForLogin();
      },
    };
  }
  if (/\.(raw|img|qcow2)$/.test(origin.from)) {
    const given = origin.login;
    if (given === undefined)
      throw new Fail(`--from ${origin.from}: a disk image needs a login`, {
        hint: "--from-user root --from-key FILE",
        exitCode: 2,
      });
    const format = origin.from.endsWith(".qcow2") ? "qcow2" : "raw";
    const machine = await machineWith({ file: origin.from, format });
    const hostKeys: string[] = [];
    return {
      ...{ machine, user: given.user, key: given.key, hostKeys },
      publicKey: (await run(["ssh-keygen", "-y", "-f", given.key])).stdout.trim(),
      start: async () => {
        await machine.start();
        hostKeys.push(...(await keysOfOwnMachine(machine)));
        await machine.ssh({ user: given.user, key: given.key, pins: hostKeys }).waitForLogin();
      },
    };
  }
  const before = await testImage(await openDefinition(origin.from), { ...options, hasPlace: true });
  const machine = await machineWith({ file: before.system.file, format: "raw" });
  const user = Object.entries(before.spec.users).find(([, one]) => one.sudo === true)?.[0] ?? "root";
  return {
    ...{ machine, user, key, publicKey: login.public, hostKeys: [before.hostKey] },
    start: async () => {
      await machine.boot();
      await machine.succeed(
        `home=$(getent passwd ${user} | cut -d: -f6) && install -d -m 700 -o ${user} "$home/.ssh" &&
         cat >>"$home/.ssh/authorized_keys" && chown ${user} "$home/.ssh/authorized_keys"`,
        { stdin: `\n${login.public}\n` },
      );
      await machine.waitForPort(22);
    },
  };
}

/** The cards of the new system's network. The host before it asks for its address there, and has to get the same. */
function cardsForBoth({ spec, files }: OpenDefinition): MachineNic[] {
  const declared = readNetworkd(networkdFiles(spec, files));
  const cards = cardsOf(declared, spec.boot?.cmdline);
  const isBoth = ({ segments = [] }: MachineNic) =>
    !isWired(segments) && segments.every(({ guest, ipv4 }) => guest === ipv4?.dhcpStart);
  if (cards.every(isBoth)) return cards;
  throw new Fail(
    "no host with an address by DHCP can stand in on this network: it has VLANs, IPv6 alone, or a gateway outside of its prefix",
    { hint: "`imgbuild test` without --deploy tries the new system on its network" },
  );
}

/** The definition's disks as it will look for them: the first written one holds the old system, kept ones a filesystem. */
async function disksFor(
  definition: OpenDefinition,
  system: NonNullable<MachineDisk["image"]>,
  lab: TestLab,
  options: TestLabOptions,
): Promise<MachineDisk[]> {
  const image = await testImage(definition, { ...options, hasPlace: true });
  const disks: MachineDisk[] = [];
  for (const [name, disk] of Object.entries(definition.spec.storage?.disks ?? {})) {
    const { serial, minSize } = disk.match;
    if (serial === undefined)
      throw new Fail(`disk ${name} is matched by its WWN, and a machine here has serials only`);
    if ("keep" in disk) {
      const keptImage = image.kept.find((one) => one.serial === serial.slice(0, 20));
      const file = join(lab.directory, `${name}.raw`);
      await run(["cp", "--sparse=always", "--", keptImage!.file, file]);
      const content = join(lab.directory, keptName);
      await writeFile(content, keptText);
      await run(["debugfs", "-w", "-R", `write ${content} ${keptName}`, file], {
        hint: installHint("e2fsprogs"),
      });
      disks.push({ image: { file, format: "raw" }, serial });
    } else if (disks.some((one) => one.image === system)) {
      disks.push({ sizeBytes: Math.max(disk.imageSize, minSize ?? 0), serial });
    } else {
      disks.push({
        image: system,
        sizeBytes: Math.max(leastDiskBytes, disk.imageSize, minSize ?? 0),
        serial,
      });
    }
  }
  return disks;
}

/** Only the machine that we have started answers on the port, so its keys can be trusted. */
async function keysOfOwnMachine(machine: Machine): Promise<string[]> {
  const port = String(await machine.forward(22));
  const until = Date.now() + 60_000 * machine.scale;
  for (;;) {
    const { stdout } = await run(["ssh-keyscan", "-T", "20", "-p", port, "127.0.0.1"], {
      accept: [0, 1],
      timeoutMs: 120_000,
    });
    const keys = stdout
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.split(" ").slice(1, 3).join(" "));
    if (keys.length > 0) return keys;
    if (Date.now() > until || !machine.isRunning)
      throw new Fail(`nothing answers to SSH in the image\nthe console's end:\n${machine.console.tail()}`);
  }
}

/** The rehearsal looks into the new system, whose own keys only the operator has, so it adds a key. The machine is a stand-in. */
function withLogin(spec: Spec, publicKey: string): Spec {
  const found = Object.entries(spec.users).find(([name, user]) => name === "root" || user.sudo === true);
  if (found === undefined)
    throw new Fail("no user of the definition has root's rights, so a deploy could not be verified");
  const [name, user] = found;
  const { host: _notThis, ...anyHost } = spec;
  return { ...anyHost, users: { ...spec.users, [name]: { ...user, keys: [...user.keys, publicKey] } } };
}

async function keptChecks(spec: Spec, machine: Machine): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const { mount, place } of spec.storage === undefined ? [] : mountsOf(spec.storage)) {
    if (place.on === "kept-disk") {
      const { stdout, stderr } = await machine.execute(["sha256sum", "--", `${mount}/${keptName}`]);
      const ok = stdout.startsWith(sha256(keptText));
      const detail = ok ? "passed" : `its file is not what it was: ${stderr.trim() || stdout.trim()}`;
      results.push({ check: `${mount} is kept`, ok, seconds: 0, detail });
    }
  }
  return results;
}
