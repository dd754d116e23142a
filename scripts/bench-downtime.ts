import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Report } from "../src/schema/report.ts";
import { silentLog } from "../src/util/log.ts";
import { imgbuild } from "../test/helpers/imgbuild.ts";
import { deployArguments, type StockLab, startLab } from "../test/helpers/labs/lab.ts";
import { pair, type Row } from "./bench-rows.ts";

const minute = 60_000;
const deployMs = 90 * minute;
const restartSeconds = 600;

/**
 * How long a host is away while it becomes `imgbuild/web`, from its last answer to the first of the new system, against a plain restart of
 * that system in the same machine, by the same measure.
 */
export async function downtimeRow(buildOn: "local" | "host" | "target"): Promise<Row> {
  // The old system makes the tree in RAM.
  const memory = buildOn === "host" ? { memoryMib: 2048 } : {};
  const lab = await startLab({ firmware: "bios", log: silentLog, env: process.env, ...memory });
  try {
    const file = join(lab.directory, "report.json");
    const ran = await imgbuild([...deployArguments(lab, file), "--build-on", buildOn], {
      env: process.env,
      timeoutMs: deployMs,
    });
    if (ran.code !== 0) throw new Error(ran.stderr.slice(-3_000));
    const { seconds } = Report.parse(JSON.parse(await readFile(file, "utf8")));
    if (seconds.downtime === null) throw new Error("the report has no downtime");
    const again = await restart(lab);
    return {
      ...{ name: `downtime-${buildOn}`, unit: "s", ...pair(seconds.downtime, again) },
      ...{ against: "a restart of the same machine", rounds: 1 },
      ...(buildOn === "target" ? {} : { atMost: 1.7 }),
      steps: seconds.steps.map(({ doing, seconds: took }) => `${doing}: ${took} s`),
    };
  } finally {
    await lab.close();
  }
}

/** Seconds from the order to restart, which is the last answer, to the next login. */
async function restart({ admin }: StockLab): Promise<number> {
  const before = await admin.waitForLogin();
  await admin.execute(["sudo", "-n", "systemctl", "reboot"]);
  const began = performance.now();
  await admin.waitForLogin({ notBoot: before, withinSeconds: restartSeconds });
  return (performance.now() - began) / 1000;
}
