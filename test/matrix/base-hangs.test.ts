import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { cpioBytes } from "../../src/archive/cpio.ts";
import { buildBase } from "../../src/operator/base/base.ts";
import { sealSecrets } from "../../src/operator/runner-link/payload.ts";
import { greet, type RunnerLink } from "../../src/operator/runner-link/runner-link.ts";
import { runnerPort, workFiles } from "../../src/operator/vm-runner/vm-initrd.ts";
import { type DeployData, deployWord } from "../../src/schema/base/deploy.ts";
import type { Plan } from "../../src/schema/plan.ts";
import { closeDisks } from "../../src/steps/disk/close-disks.ts";
import { stepData } from "../../src/steps/step/step.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { canonicalJson, digestOf, sha256 } from "../../src/util/digest.ts";
import { silentLog } from "../../src/util/log.ts";
import { takePlace } from "../../src/vm/lab/room.ts";
import { accelerator } from "../../src/vm/machine/accelerator.ts";
import { type Qemu, startQemu } from "../../src/vm/machine/qemu.ts";
import { makeConsole } from "../../src/vm/shell/console.ts";

const env = process.env;
const signal = new AbortController().signal;
const minute = 60_000;
/** Seconds: an emulated base beside other work takes half of it to greet, and a program that looks at a disk has two minutes. */
const deadManSeconds = 300;
const diskBytes = 64 * 2 ** 20;

interface Base {
  readonly qemu: Qemu;
  readonly link: RunnerLink;
  readonly console: { readonly text: string };
  /** Its disk does not answer from now on. */
  stall(): Promise<void>;
  go(): Promise<void>;
  /** Until it restarts, which ends its machine here. */
  ended(withinSeconds: number): Promise<void>;
}

/** The base of a deploy with its real runner, alone in a machine: it works through a plan that looks at a disk, and writes none. */
async function startBase(): Promise<Base> {
  const directory = mkdtempSync(join(tmpdir(), "imgbuild-hang-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const cache = cacheRoot(env);
  const base = await buildBase({ cache, env, log: silentLog, signal });
  const kind = await accelerator({ cache, override: env.IMGBUILD_ACCEL, log: silentLog, signal });
  const plan: Plan = {
    ...{ version: 1, hostname: "hangs", definition: "hangs", steps: [] },
    prepare: [stepData(closeDisks, "looking at the disks", { disks: [] })],
  };
  const planDigest = digestOf(plan);
  const nonce = randomBytes(32).toString("hex");
  const lock = { version: 1, packages: [], indices: [] } as never;
  const { files } = await workFiles({ plan, lock, disks: [], secrets: new Map() }, { nonce, planDigest });
  const [data, ...others] = files;
  if (data?.type !== "file" || !("content" in data)) throw new Error("the deploy's data is no file");
  const deploy = JSON.parse(Buffer.from(data.content).toString()) as DeployData;
  const content = Buffer.from(canonicalJson({ ...deploy, deadManSeconds }));
  const parts = [await readFile(base.outer.path), await readFile(base.squashfs.path)];
  const initrd = join(directory, "initrd");
  writeFileSync(initrd, Buffer.concat([...parts, await cpioBytes([{ ...data, content }, ...others])]));
  const disk = join(directory, "disk.raw");
  writeFileSync(disk, Buffer.alloc(diskBytes));
  const words = ["console=ttyS0", "panic=20", `imgbuild.deadman=${deadManSeconds}`];
  const place = await takePlace({ log: silentLog, signal });
  onTestFinished(() => place.leave());
  const qemu = await startQemu(
    {
      ...{ name: "hangs", memoryMib: 1024, cpus: 1, accelerator: kind.name, nics: [] },
      disks: [{ file: disk, format: "raw", serial: "stalls" }],
      consoleFile: join(directory, "console.log"),
      direct: {
        ...{ kernel: base.kernel.path, initrd },
        cmdline: [...words, `${deployWord}=${sha256(content)}`],
      },
      ...{ once: true, port: runnerPort },
    },
    signal,
  );
  onTestFinished(() => qemu.stop());
  const { console, append } = makeConsole();
  qemu.serial.setEncoding("utf8").on("data", append);
  await qemu.qmp.execute("cont");
  const link = await greet(qemu.shell, minute * kind.scale);
  return {
    ...{ qemu, link, console },
    stall: async () => {
      const rest = { bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
      const id = "/machine/peripheral/disk0/virtio-backend";
      await qemu.qmp.execute("block_set_io_throttle", { id, bps: 1, ...rest });
    },
    go: async () =>
      link.send({ type: "go", planDigest, sealed: await sealSecrets(link.hello.recipient, new Map()) }),
    ended: async (withinSeconds) => {
      const late = sleep(withinSeconds * 1000, "late", { ref: false });
      const how = await Promise.race([qemu.ended, late]);
      expect(how, console.text.slice(-2000)).not.toBe("late");
    },
  };
}

it("hang-base-disk: a program that no kill ends is given up between GO and the first write, and the base restarts", async () => {
  const { link, stall, go, ended, console } = await startBase();
  const report = link.follow(0, () => {});
  await stall();
  await go();
  expect(await report).toMatchObject({
    outcome: "failed",
    ponr: false,
    message: expect.stringMatching(/was killed and has not ended within 10 s/),
  });
  await ended(60);
  expect(console.text).not.toContain("no disk was written within");
});
