import type { ChildProcess } from "node:child_process";
import { createHash, randomInt } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { SshShell } from "../../src/testing/index.ts";
import { silentLog } from "../../src/util/log.ts";
import { randomFrom } from "../helpers/cut/random.ts";
import { imgbuild, type Ran } from "../helpers/imgbuild.ts";
import { deployArguments, kept, type StockLab, startLab } from "../helpers/labs/lab.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const minute = 60_000;
const keptSum = createHash("sha256").update(kept.content).digest("hex");
const identity = ["--identity", "secrets/demo-identity.txt"];
const wipe = ["--unattended", "--yes-wipe", "IMGBUILD-SYSTEM"];
/** A machine that nobody touches says what it is within this time: a dead man, a watchdog and two starts. */
const settleMs = 20 * minute;

/** What a deploy shows as it comes to a part of it: each is as likely, however long it takes. */
const places = [
  "looking at the machine",
  "preparing the host",
  "sending the tree",
  "starting the base",
  "waiting for the base",
  "comparing the disks",
  "partitioning system",
  "writing the base to",
  "unpacking the tree",
  "filling the ESP",
  "flushing everything",
  "waiting for the new system",
];
const atMostMs = 20_000;

const seed = Number(process.env.IMGBUILD_SEED ?? randomInt(2 ** 31));
const count = Number(process.env.IMGBUILD_MOMENTS ?? 20);

type Loss = "operator" | "network" | "power";
interface Moment {
  readonly number: number;
  readonly loss: Loss;
  readonly place: string;
  readonly afterMs: number;
}

describe(`killed: ${count} moments (IMGBUILD_SEED=${seed})`, () => {
  it.each(moments())("$number: the $loss is gone, $afterMs ms after $place", async (moment) => {
    const home = tempDir();
    const env = { ...process.env, XDG_STATE_HOME: join(home, "state") };
    const lab = await startLab({ firmware: "bios", log: silentLog, env, watchdog: true });
    try {
      const lost = lose(lab, moment);
      const args = [...deployArguments(lab, join(lab.directory, "report.json")), "--dead-man", "120"];
      const ran = await imgbuild([...args, "--build-on", "local"], {
        ...{ env, timeoutMs: 60 * minute, onStart: lost.watch },
      });
      expect(await lost.happened(), ran.stderr.slice(-3000)).toBe(true);
      const found = await converge(lab, join(home, "elsewhere"));
      console.log(`${moment.number}: ${ran.code}, then ${found.join(", ")}`);
      await lab.admin.waitForLogin({ withinSeconds: 120 });
      expect(await lab.admin.succeed("sha256sum /srv/kept.txt")).toBe(`${keptSum}  /srv/kept.txt`);
      expect(await lab.admin.succeed("dpkg --audit; systemctl is-system-running")).toBe("running");
    } finally {
      await lab.close();
    }
  });
});

function moments(): Moment[] {
  const random = randomFrom(seed);
  const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)]!;
  return Array.from({ length: count }, (_, index) => ({
    number: index + 1,
    loss: pick<Loss>(["operator", "network", "power"]),
    place: pick(places),
    afterMs: Math.floor(random() * atMostMs),
  }));
}

/** Takes that away at its moment. The network comes back after a while, the machine is switched on again. */
function lose(lab: StockLab, { loss, place, afterMs }: Moment) {
  let done: Promise<void> | undefined;
  const take = async (child: ChildProcess) => {
    await sleep(afterMs);
    if (loss === "operator") child.kill("SIGKILL");
    if (loss === "network") {
      await lab.machine.block();
      await sleep(3 * minute);
      await lab.machine.unblock();
    }
    if (loss === "power") {
      await lab.machine.crash();
      await lab.machine.start();
    }
  };
  return {
    watch: (child: ChildProcess) => {
      let text = "";
      child.stderr?.on("data", (chunk: string) => {
        text += chunk;
        if (done === undefined && text.includes(place)) done = take(child);
      });
    },
    happened: async () => {
      await done;
      return done !== undefined;
    },
  };
}

/** From another computer: it has the definition and an identity, and neither cache nor record of this one. What was found on the way to
 * the new system; throws where that is not reached. */
async function converge(lab: StockLab, elsewhere: string): Promise<string[]> {
  const env = {
    ...process.env,
    XDG_STATE_HOME: join(elsewhere, "state"),
    XDG_CACHE_HOME: join(elsewhere, "cache"),
    IMGBUILD_CACHE: join(elsewhere, "cache"),
  };
  const type = (...args: string[]) => imgbuild(args, { env, timeoutMs: 60 * minute });
  const found: string[] = [];
  for (let tries = 0; tries < 4; tries += 1) {
    const [which, said] = await settled(lab, () =>
      type("follow", "target", "--definition", "imgbuild/web", ...lab.login, ...identity),
    );
    found.push(which);
    if (which === "new") return found;
    const again =
      which === "old"
        ? await type(...deployArguments(lab, join(elsewhere, "report.json")))
        : await type(
            ...["resume", "target", "--definition", "imgbuild/web", "--with", "imgbuild/web"],
            ...[...wipe, ...lab.login, ...identity],
          );
    if (again.code !== 0)
      throw new Error(`${found.join(", ")}: ${said.stderr.slice(-2000)}\n${again.stderr.slice(-4000)}`);
  }
  throw new Error(`it is not the new system after four times: ${found.join(", ")}`);
}

/** Which system answers when nothing goes on any more; a dead machine is an error. */
async function settled(
  lab: StockLab,
  follow: () => Promise<Ran>,
): Promise<readonly ["old" | "base" | "new", Ran]> {
  const until = Date.now() + settleMs;
  let said: Ran | undefined;
  while (Date.now() < until) {
    // Follows a build to its end, or the base to its dead man.
    said = await follow();
    for (const [which, shell] of [
      ["old", lab.stock],
      ["new", lab.admin],
    ] as const)
      if (await answers(shell)) return [which, said];
    // One that waits for GO goes back by itself, and is the old system then.
    if (/the runner is failed/.test(said.stderr)) return ["base", said];
    await sleep(20_000);
  }
  throw new Error(`dead: nothing answers within ${settleMs / minute} minutes: ${said?.stderr.slice(-2000)}`);
}

/** Each system has users of its own, and none has the base's host key. */
async function answers(shell: SshShell): Promise<boolean> {
  const { code } = await shell.execute("true", { withinSeconds: 60 }).catch(() => ({ code: 255 }));
  return code === 0;
}
