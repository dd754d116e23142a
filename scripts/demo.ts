import { createHash } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { plainLog, seconds } from "../src/cli/log.ts";
import { Report } from "../src/schema/report.ts";
import { messageOf } from "../src/util/fail.ts";
import { guestRun } from "../test/helpers/guest.ts";
import { deployArguments, imgbuild, kept, type Lab, startLab } from "../test/helpers/lab.ts";
import { fetchPage } from "../test/helpers/page.ts";

/**
 * The main job, shown: a stock Debian 12 host that somebody else installed is running in QEMU; one command makes it
 * `imgbuild/web`, disks and all, and proves it. Then once more, onto the result of the first.
 */
const directory = resolve("out/demo");
const firmware = process.env.FIRMWARE === "uefi" ? "uefi" : "bios";
const deployMs = 3_600_000;
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const)
  process.once(name, () => stop.abort(new Error("interrupted")));

process.exitCode = await demo().catch((error: unknown) => {
  console.error(`demo failed: ${messageOf(error)}`);
  return 1;
});

async function demo(): Promise<number> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const log = plainLog(process.stderr, Date.now);
  const lab = await startLab({ directory, firmware, log, env: process.env, signal: stop.signal });
  try {
    const before = await look(lab, "root");
    const checksum = createHash("sha256").update(kept.content).digest("hex");
    say("the host before", before);
    const first = await deploy(lab, "target", "report.json");
    const between = await look(lab, "admin");
    const second = await deploy(lab, "admin@target", "report-second.json");
    const after = await look(lab, "admin");
    const page = await fetchPage(lab.machine.port(80), "user", "demo");
    const closed = await fetchPage(lab.machine.port(80));
    timeline("first deploy, of a stock Debian 12", first);
    timeline("second deploy, onto the first", second);
    say("the host now", after);
    console.log(
      `page with the secret: ${page.status}, ${
        page.body
          .split("\n")
          .find((line) => line.includes("<h1"))
          ?.trim() ?? page.body.slice(0, 80)
      }`,
    );
    console.log(`page without it:      ${closed.status}`);
    const expectations: [string, boolean][] = [
      ["both deploys are done", first.outcome === "done" && second.outcome === "done"],
      [
        "the old system was Debian 12, the new one is Debian 13",
        /12/.test(first.os.old) && /13/.test(first.os.new ?? ""),
      ],
      ["old, base and new are three boots", new Set(Object.values(first.bootIds)).size === 3],
      ["QEMU is the same process throughout", lab.machine.isRunning],
      ["the target fetched its packages itself", (first.fetched?.packages ?? 0) > 100],
      ["the operator's payload is at most 256 KiB", first.bytes.payload <= 256 * 1024],
      ["the base is at most 120 MiB", first.bytes.base > 0 && first.bytes.base <= 120 * 2 ** 20],
      ["the second deploy sends no base", second.bytes.base === 0],
      ["the page answers to the secret, and to nobody else", page.status === 200 && closed.status === 401],
      ["the kept data is what it was", [before, between, after].every(({ keptSum }) => keptSum === checksum)],
      ["the SSH host key is the old one", before.hostKey === after.hostKey],
      [
        "the machine-id is new each time",
        new Set([before, between, after].map(({ machineId }) => machineId)).size === 3,
      ],
      ["health checks pass", [...first.health, ...second.health].every(({ ok }) => ok)],
    ];
    console.log("");
    for (const [what, holds] of expectations) console.log(`${holds ? "✔" : "✘"} ${what}`);
    console.log(`\nreport: ${directory}/report.json`);
    return expectations.every(([, holds]) => holds) ? 0 : 1;
  } finally {
    await lab.stop();
    for (const name of ["system.qcow2", "data.raw"]) await rm(`${directory}/${name}`, { force: true });
  }
}

async function deploy(lab: Lab, target: string, name: string): Promise<Report> {
  const file = `${directory}/${name}`;
  const ran = await imgbuild(deployArguments(lab, file, target), {
    env: process.env,
    timeoutMs: deployMs,
    show: true,
  });
  if (ran.code !== 0)
    throw new Error(`the deploy exited ${ran.code}; the console is in ${lab.machine.consoleFile}`);
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

async function look(lab: Lab, who: "root" | "admin"): Promise<Look> {
  const login = who === "root" ? lab.stock : lab.admin;
  const script = `. /etc/os-release; echo "$PRETTY_NAME"; cat /proc/sys/kernel/random/boot_id /etc/machine-id
cat /etc/ssh/ssh_host_ed25519_key.pub | cut -d" " -f1,2; sha256sum /srv/${kept.name} | cut -d" " -f1
lsblk -o NAME,SERIAL,SIZE,FSTYPE,UUID,MOUNTPOINTS`;
  const argv = who === "root" ? ["sh", "-c", script] : ["sudo", "-n", "sh", "-c", script];
  const { stdout } = await guestRun(lab.machine, login, argv);
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
    `  sent by the operator: base ${report.bytes.base} bytes, payload ${report.bytes.payload} bytes`,
  );
  console.log(
    `  fetched by the target: ${report.fetched?.packages} packages, ${report.fetched?.bytes} bytes`,
  );
  console.log(`  memory used in the base: at most ${report.peakMemoryMib} MiB`);
  console.log(`  boots: old ${report.bootIds.old}, base ${report.bootIds.base}, new ${report.bootIds.new}`);
  for (const { check, ok } of report.health) console.log(`  ${ok ? "healthy" : "NOT HEALTHY"}: ${check}`);
}
