import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Report } from "../src/schema/report.ts";
import { run } from "../src/system/run/run.ts";
import { seconds } from "../src/util/count.ts";
import { messageOf } from "../src/util/fail.ts";
import { plainLog } from "../src/util/log.ts";
import { imgbuild } from "../test/helpers/imgbuild.ts";
import { deployArguments, kept, type StockLab, startLab } from "../test/helpers/labs/lab.ts";
import { fetchPage } from "../test/helpers/labs/page.ts";

/**
 * The main job, shown: a stock Debian 12 host that somebody else installed runs in QEMU; one command makes it
 * `imgbuild/web`, disks and all, and proves it. The command is that of the npm package, as npm installs it. Run again, it deploys onto the host that the first run made.
 * FRESH=1 starts over, FIRMWARE=uefi takes the other firmware.
 */
const directory = resolve("out/demo");
const markFile = `${directory}/deployed.json`;
const deployMs = 3_600_000;
const installMs = 10 * 60_000;
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const)
  process.once(name, () => stop.abort(new Error("interrupted")));

process.exitCode = await demo().catch((error: unknown) => {
  console.error(`demo failed: ${messageOf(error)}`);
  return 1;
});

async function demo(): Promise<number> {
  const program = await installed();
  const earlier = process.env.FRESH ? undefined : await readMark();
  const again = earlier !== undefined;
  const firmware = earlier?.firmware ?? (process.env.FIRMWARE === "uefi" ? "uefi" : "bios");
  if (!again) await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const log = plainLog(process.stderr, Date.now);
  const lab = await startLab({ directory, firmware, log, env: process.env, signal: stop.signal });
  const { pid } = lab.machine;
  try {
    const before = await look(lab, again ? "admin" : "root");
    await rm(markFile, { force: true });
    say("the host before", before);
    const report = await deploy(program, lab, again ? "admin@target" : "target");
    const after = await look(lab, "admin");
    const page = await fetchPage(await lab.machine.forward(80), "user", "demo");
    const closed = await fetchPage(await lab.machine.forward(80));
    timeline(again ? "redeploy of a host that imgbuild made" : "deploy onto a stock Debian 12", report);
    say("the host now", after);
    const heading = page.body.split("\n").find((line) => line.includes("<h1"));
    console.log(`page with the secret: ${page.status}, ${heading?.trim() ?? page.body.slice(0, 80)}`);
    console.log(`page without it:      ${closed.status}\n`);
    const checksum = createHash("sha256").update(kept.content).digest("hex");
    const { bytes, bootIds } = report;
    const expectations: [string, boolean][] = [
      ["the deploy is done", report.outcome === "done"],
      [`the old system was Debian ${again ? 13 : 12}`, report.os.old.includes(again ? "13" : "12")],
      ["the new one is Debian 13", report.os.new?.includes("13") === true],
      [
        "old, base and new are three boots of one QEMU process",
        new Set(Object.values(bootIds)).size === 3 && lab.machine.pid === pid && lab.machine.isRunning,
      ],
      [
        "the tree was made here, and the host fetched nothing",
        report.fetched?.packages === 0 && (report.bytes.tree ?? 0) > 10 * 2 ** 20,
      ],
      ["the operator's payload is at most 256 KiB", bytes.payload <= 256 * 1024],
      again
        ? ["the base was not sent again", bytes.base < 4 * 2 ** 20]
        : ["the base is at most 120 MiB", bytes.base > 0 && bytes.base <= 120 * 2 ** 20],
      ["the page answers to the secret, and to nobody else", page.status === 200 && closed.status === 401],
      ["the kept data is what it was", before.keptSum === checksum && after.keptSum === checksum],
      ["the SSH host key is the old one", before.hostKey === after.hostKey],
      ["the machine-id is new", before.machineId !== after.machineId],
      ["all health checks pass", report.health.length > 0 && report.health.every(({ ok }) => ok)],
    ];
    for (const [what, holds] of expectations) console.log(`${holds ? "✔" : "✘"} ${what}`);
    console.log(`\nreport: ${directory}/report.json`);
    const good = expectations.every(([, holds]) => holds);
    await lab.machine.shutdown();
    if (good) await writeFile(markFile, JSON.stringify({ firmware }));
    if (good && !again) console.log("the host is kept: `make demo` once more deploys onto it");
    return good ? 0 : 1;
  } finally {
    await lab.close();
  }
}

async function readMark(): Promise<{ firmware: "bios" | "uefi" } | undefined> {
  return await readFile(markFile, "utf8").then(
    (text) => JSON.parse(text) as { firmware: "bios" | "uefi" },
    () => undefined,
  );
}

/** Makes the package, installs it beside the demo, and gives its command. */
async function installed(): Promise<string> {
  const env = process.env as Record<string, string>;
  const place = resolve("out/demo-program");
  const { version } = JSON.parse(await readFile("package.json", "utf8")) as { version: string };
  await run(["node", "--import", "tsx", "scripts/package.ts"], { timeoutMs: installMs, env });
  await rm(place, { recursive: true, force: true });
  await mkdir(place, { recursive: true });
  const options = ["--prefix", place, "--no-audit", "--no-fund", "--prefer-offline"];
  await run(["npm", "install", ...options, resolve(`out/imgbuild-${version}.tgz`)], {
    timeoutMs: installMs,
    env,
  });
  return join(place, "node_modules/.bin/imgbuild");
}

async function deploy(program: string, lab: StockLab, target: string): Promise<Report> {
  const file = `${directory}/report.json`;
  const ran = await imgbuild(deployArguments(lab, file, target), {
    ...{ program, env: process.env, timeoutMs: deployMs },
    show: true,
  });
  if (ran.code !== 0)
    throw new Error(`the deploy exited ${ran.code}; the console is in ${lab.machine.directory}/console.log`);
  return Report.parse(JSON.parse(await readFile(file, "utf8")));
}

interface Look {
  readonly os: string;
  readonly bootId: string;
  readonly machineId: string;
  readonly disks: string;
  readonly hostKey: string;
  readonly keptSum: string;
}

async function look(lab: StockLab, who: "root" | "admin"): Promise<Look> {
  const script = `. /etc/os-release; echo "$PRETTY_NAME"; cat /proc/sys/kernel/random/boot_id /etc/machine-id
cat /etc/ssh/ssh_host_ed25519_key.pub | cut -d" " -f1,2; sha256sum /srv/${kept.name} | cut -d" " -f1
lsblk -o NAME,SERIAL,SIZE,FSTYPE,UUID,MOUNTPOINTS`;
  const argv = who === "root" ? ["sh", "-c", script] : ["sudo", "-n", "sh", "-c", script];
  const stdout = await (who === "root" ? lab.stock : lab.admin).succeed(argv);
  const [os = "", bootId = "", machineId = "", hostKey = "", keptSum = "", ...disks] = stdout.split("\n");
  return { os, bootId, machineId, hostKey, keptSum, disks: disks.join("\n").trimEnd() };
}

function say(what: string, { os, bootId, disks, keptSum }: Look): void {
  console.log(`\n${what}: ${os}, boot ${bootId}\nkept data: sha256 ${keptSum}\n${disks}\n`);
}

function timeline(what: string, report: Report): void {
  const { total, downtime, phases } = report.seconds;
  console.log(`\n${what}: ${seconds(total * 1000)}, of it ${seconds((downtime ?? 0) * 1000)} down`);
  for (const phase of phases) console.log(`  ${phase.phase.padEnd(10)} ${seconds(phase.seconds * 1000)}`);
  console.log(
    `  sent by the operator: base ${report.bytes.base} bytes, tree ${report.bytes.tree ?? 0} bytes, payload ${report.bytes.payload} bytes`,
  );
  console.log(
    `  fetched by the target: ${report.fetched?.packages} packages, ${report.fetched?.bytes} bytes`,
  );
  console.log(`  memory used in the base: at most ${report.peakMemoryMib} MiB`);
  console.log(`  boots: old ${report.bootIds.old}, base ${report.bootIds.base}, new ${report.bootIds.new}`);
  for (const { check, ok } of report.health) console.log(`  ${ok ? "healthy" : "NOT HEALTHY"}: ${check}`);
}
