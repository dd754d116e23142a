import { spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDefinition } from "../src/operator/lock/open-definition.ts";
import { testImage } from "../src/operator/test/test-image.ts";
import { cacheRoot } from "../src/system/files/cache.ts";
import { plainEnv, run } from "../src/system/run/run.ts";
import { openLab } from "../src/testing/index.ts";
import { silentLog } from "../src/util/log.ts";
import { accelerator, usualCpus } from "../src/vm/machine/accelerator.ts";
import { imgbuild } from "../test/helpers/imgbuild.ts";
import { least, pair, type Row, rounds, type Spent, timed } from "./bench-rows.ts";

const bootMs = 900_000;
const definition = "imgbuild/web";

/**
 * `test-verdict`: the whole command with everything cached, against the same image started by hand until it asks for a login.
 * `snapshot-restore`: a machine back at its snapshot and answering, against its boot.
 */
export async function vmRows(): Promise<Row[]> {
  const cache = cacheRoot(process.env);
  const outside = { cache, env: process.env, log: silentLog, signal: new AbortController().signal };
  const image = await testImage(await openDefinition(definition), outside);
  const proven = await accelerator({ cache, override: process.env.IMGBUILD_ACCEL, log: silentLog });
  const verdict = async () => {
    const ran = await imgbuild(["test", definition, "--firmware", "bios"], {
      env: process.env,
      timeoutMs: bootMs,
    });
    if (ran.code !== 0) throw new Error(ran.stderr);
  };
  const boots: Spent[] = [];
  const restores: Spent[] = [];
  const lab = await openLab();
  try {
    const machine = await lab.machine({ definition });
    for (let round = 0; round < rounds; round += 1) {
      boots.push(await timed(() => machine.boot()));
      await machine.snapshot("booted");
      restores.push(
        await timed(async () => {
          await machine.restore("booted");
          await machine.succeed("true");
        }),
      );
      await machine.stop();
    }
  } finally {
    await lab.close();
  }
  const ours: Spent[] = [];
  const peer: Spent[] = [];
  for (let round = 0; round < rounds; round += 1) {
    ours.push(await timed(verdict));
    peer.push(await timed(() => bootByHand(image.system.file, proven.name, usualCpus(proven, 2))));
  }
  return [
    row("test-verdict", ours, peer, { against: "QEMU by hand", atMost: 1.3 }),
    row("snapshot-restore", restores, boots, { against: "its boot", atMost: 0.15 }),
  ];
}

/** Of seconds alone: a machine goes on computing between two of these. */
function row(
  name: string,
  ours: readonly Spent[],
  peer: readonly Spent[],
  about: Pick<Row, "against" | "atMost">,
): Row {
  return { name, unit: "s", ...pair(least(ours).seconds, least(peer).seconds), ...about, rounds };
}

/** What a person would type for a machine with as many processors as ours, until the serial console asks for a login. */
async function bootByHand(file: string, accel: string, cpus: number): Promise<void> {
  const overlay = join(tmpdir(), `imgbuild-bench-${process.pid}.qcow2`);
  await run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", file, overlay]);
  const child = spawn(
    "qemu-system-x86_64",
    [
      ...[
        "-machine",
        "q35",
        "-accel",
        accel,
        "-cpu",
        accel === "tcg" ? "max" : "host",
        "-smp",
        String(cpus),
        "-m",
        "1024",
      ],
      ...["-drive", `file=${overlay},if=virtio`, "-nic", "user,model=virtio", "-display", "none"],
      ...["-serial", "stdio", "-monitor", "none"],
    ],
    { env: { ...plainEnv }, stdio: ["ignore", "pipe", "ignore"] },
  );
  try {
    await new Promise<void>((resolve, reject) => {
      let text = "";
      const timer = setTimeout(reject, bootMs, new Error(`no login prompt: ${text.slice(-500)}`));
      child.stdout.setEncoding("utf8").on("data", (more: string) => {
        text += more;
        if (!text.includes("login: ")) return;
        clearTimeout(timer);
        resolve();
      });
      child.once("error", reject);
      child.once("exit", () => reject(new Error(`QEMU ended: ${text.slice(-500)}`)));
    });
  } finally {
    child.kill("SIGKILL");
    await rm(overlay, { force: true });
  }
}
