import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { bundleRunner } from "../../src/operator/base/bundle.ts";
import { signedPayload } from "../../src/operator/runner-link/payload.ts";
import { greet, type RunnerLink } from "../../src/operator/runner-link/runner-link.ts";
import { type DeployData, deployWord } from "../../src/schema/base/deploy.ts";
import type { Plan } from "../../src/schema/plan.ts";
import { hardware } from "../../src/target/machine.ts";
import { digestOf, sha256 } from "../../src/util/digest.ts";
import { lockOf, serverSpec } from "../helpers/builders/deployable.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const nonce = "e".repeat(64);
let bundle: Uint8Array;

beforeAll(async () => {
  bundle = await bundleRunner();
});

async function payloadOf(definition: string, run: Partial<Parameters<typeof signedPayload>[1]> = {}) {
  const plan: Plan = { version: 1, hostname: "web", definition, prepare: [], steps: [] };
  const planDigest = digestOf(plan);
  const order = { version: 1 as const, definition, planDigest, disks: [], mirrors: {}, secrets: [] };
  const work = { plan, order, lock: lockOf(serverSpec()), files: new Map(), debs: new Map() };
  return {
    planDigest,
    ...(await signedPayload(work, { nonce, machine: hardware(), now: Date.now(), ...run })),
  };
}

interface Files {
  readonly payload: Uint8Array;
  readonly data: DeployData;
}

interface Story {
  /** What the payload was signed for instead of this deploy and this machine. */
  run?: Partial<Parameters<typeof signedPayload>[1]>;
  /** Another payload, or other data of the deploy, than the operator had. */
  swap?: (files: Files) => Partial<Files> | Promise<Partial<Files>>;
  /** Instead of the word that names the deploy's data. */
  commandLine?: string;
}

/**
 * The bundle as the base starts it, with a /run and processes of its own, and without any way to restart this machine: a base
 * that refuses its payload would.
 */
async function base(story: Story = {}) {
  const state = tempDir();
  const first = await payloadOf("first", story.run);
  const deploy: DeployData = {
    version: 1,
    nonce,
    publicKey: first.publicKey,
    oldBootId: "b",
    hostname: "web",
    network: { links: [], dns: [] },
    deadManSeconds: 600,
  };
  mkdirSync(join(state, "imgbuild"), { mode: 0o700 });
  const at = (name: string) => join(state, "imgbuild", name);
  const sent = { payload: first.payload, data: deploy };
  const word = `${deployWord}=${sha256(JSON.stringify(deploy))}`;
  const files = { ...sent, ...(await story.swap?.(sent)) };
  writeFileSync(at("deploy.json"), JSON.stringify(files.data));
  writeFileSync(at("payload.tar.gz"), files.payload);
  writeFileSync(join(state, "cmdline"), `console=ttyS0 ${story.commandLine ?? word}\n`);
  writeFileSync(at("runner.cjs"), bundle);
  const seed = randomBytes(32).toString("base64");
  let child: ChildProcess | undefined;
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "close");
  };
  onTestFinished(kill);
  /** Starts it, anew where it runs already, and attaches. */
  const start = async (): Promise<RunnerLink> => {
    await kill();
    child = spawn(
      "setpriv",
      [
        ...["--bounding-set", "-sys_boot", "--inh-caps", "-sys_boot"],
        ...["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-ec"],
        '[ ! -e /proc/sysrq-trigger ] || mount --bind /dev/null /proc/sysrq-trigger; mount --bind "$1/cmdline" /proc/cmdline; mount --bind "$1" /run; shift; exec "$@"',
        ...["sh", state, process.execPath, "/run/imgbuild/runner.cjs"],
      ],
      { stdio: ["pipe", "inherit", "inherit"] },
    );
    child.stdin!.end(seed);
    for (let attempt = 0; ; attempt += 1) {
      const stream = connect(at("runner.sock"));
      try {
        await once(stream, "connect");
        const link = await greet(stream, 10_000);
        onTestFinished(() => link.close());
        return link;
      } catch (error) {
        if (attempt > 100) throw error;
        await sleep(100);
      }
    }
  };
  return { start, at, planDigest: first.planDigest };
}

describe("the runner's bundle", () => {
  it("greets with the deploy's nonce and plan, through a socket that is root's alone, and with a key that is in no file", async () => {
    const { start, at, planDigest } = await base();
    const { hello } = await start();
    expect(hello).toMatchObject({ nonce, planDigest, state: "waiting" });
    for (const name of ["runner.sock", "journal.jsonl"])
      expect((statSync(at(name)).mode & 0o777).toString(8), name).toBe("600");
    expect(readdirSync(at("")).sort()).toEqual([
      "deploy.json",
      "journal.jsonl",
      "payload.tar.gz",
      "runner.cjs",
      "runner.sock",
    ]);
  });

  it("that was killed after the first write keeps its key, takes another plan, and has that one when it is killed again", async () => {
    const { start, at } = await base();
    const { hello } = await start();
    writeFileSync(at("go"), "sealed", { mode: 0o600 });
    const ponr = { seq: hello.seq + 1, at: 1, event: { type: "ponr" } };
    appendFileSync(at("journal.jsonl"), `${JSON.stringify(ponr)}\n`);
    const again = await start();
    expect(again.hello).toMatchObject({ state: "failed", recipient: hello.recipient });
    const second = await payloadOf("second");
    const other = await payloadOf("other");
    await expect(again.replace(other.publicKey, second.payload)).rejects.toThrow(/signature/);
    expect(await again.replace(second.publicKey, second.payload)).toBe(second.planDigest);
    expect(readFileSync(at("payload.tar.gz"))).toEqual(Buffer.from(second.payload));
    const third = await start();
    expect(third.hello).toMatchObject({ state: "failed", planDigest: second.planDigest });
  });
});

describe("the runner's bundle works on nothing (F22) that is", () => {
  const day = 24 * 60 * 60 * 1000;
  const elsewhere = { uuid: "99999999-2222-3333-4444-555555555555", macs: ["52:54:00:ff:ff:ff"] };
  it.each<[string, Story, RegExp]>([
    ["signed for another machine", { run: { machine: elsewhere } }, /for another machine/],
    ["of another deploy", { run: { nonce: "0".repeat(64) } }, /belongs to another deploy/],
    ["of the day before yesterday", { run: { now: Date.now() - 3 * day } }, /expired at/],
    ["of next week", { run: { now: Date.now() + 7 * day } }, /was made at/],
    [
      "another valid payload than the operator sent",
      { swap: async () => ({ payload: (await payloadOf("second")).payload }) },
      /signature is not that of this deploy/,
    ],
    [
      "brought with its own key",
      {
        swap: async ({ data }) => {
          const { payload, publicKey } = await payloadOf("second");
          return { payload, data: { ...data, publicKey } };
        },
      },
      /not what the kernel's command line names/,
    ],
    [
      "for a deploy whose data was changed",
      { swap: ({ data }) => ({ data: { ...data, hostname: "other" } }) },
      /not what the kernel's command line names/,
    ],
    ["not named at all", { commandLine: "quiet" }, /has no imgbuild\.deploy/],
  ])("%s", async (_what, story, message) => {
    const { start, at } = await base(story);
    const { hello } = await start();
    expect(hello).toMatchObject({ state: "failed", message: expect.stringMatching(message) });
    expect(hello.planDigest).toBeUndefined();
    expect(existsSync(at("go"))).toBe(false);
  });
});

/** Runs the base's shell with a directory as /run; gives the file that is its /dev/kmsg, which has the last line. */
function keepRunning(state: string): string {
  const kmsg = join(state, "kmsg");
  writeFileSync(kmsg, "");
  const script = `mount -t overlay -o "lowerdir=$PWD/initramfs/files/usr/lib:/usr/lib" overlay /usr/lib
    [ "$2" = /usr/bin/node ] || { touch /usr/bin/node; mount --bind "$2" /usr/bin/node; }
    mount --bind "$1/kmsg" /dev/kmsg
    mount --bind "$1" /run; exec busybox sh /usr/lib/imgbuild/runner`;
  const apart = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const shell = spawn("unshare", [...apart, "sh", "-ec", script, "sh", state, process.execPath], {
    stdio: "inherit",
  });
  onTestFinished(() => void shell.kill("SIGKILL"));
  return kmsg;
}

describe("the shell that keeps the runner running", () => {
  const whole = { "rescue.cjs": "process.exit(1)", "medium.json": "{}", "ssh/authorized_keys": "" };
  const sumsOf = (files: Readonly<Record<string, string>>) =>
    Object.entries(files)
      .map(([name, text]) => `${sha256(text)}  ${name}\n`)
      .join("");
  it.each([
    ["its program", { ...whole, "rescue.cjs": "process.exit(2)" }, sumsOf(whole), "rescue.cjs of its"],
    [
      "two files, one of which is gone",
      { "rescue.cjs": "process.exit(1)", "medium.json": "[]" },
      sumsOf(whole),
      "medium.json ssh/authorized_keys of its",
    ],
    ["a sum", whole, sumsOf(whole).replace(/^./, "X"), "rescue.cjs of its"],
    ["no sums", whole, undefined, "medium.sums of its"],
  ])(
    "starts nothing of a medium whose archive is damaged, and names what: %s",
    async (_, files, sums, names) => {
      const state = tempDir();
      mkdirSync(join(state, "imgbuild/ssh"), { recursive: true, mode: 0o700 });
      for (const [name, text] of Object.entries({
        ...files,
        ...(sums === undefined ? {} : { "medium.sums": sums }),
      }))
        writeFileSync(join(state, "imgbuild", name), text);
      const kmsg = keepRunning(state);
      await vi.waitFor(() => expect(readFileSync(kmsg, "utf8")).toContain("no disk was written"), {
        ...{ timeout: 60_000, interval: 200 },
      });
      expect(readFileSync(kmsg, "utf8")).toBe(
        `<2>imgbuild: the medium is damaged: ${names} medium.cpio; no disk was written. Write the medium anew, or take another\n`,
      );
      expect(existsSync(join(state, "runner.starts"))).toBe(false);
    },
  );

  it("starts the program of a medium that is whole", async () => {
    const state = tempDir();
    mkdirSync(join(state, "imgbuild/ssh"), { recursive: true, mode: 0o700 });
    for (const [name, text] of Object.entries({ ...whole, "medium.sums": sumsOf(whole) }))
      writeFileSync(join(state, "imgbuild", name), text);
    keepRunning(state);
    await vi.waitFor(() => expect(existsSync(join(state, "runner.starts"))).toBe(true), {
      ...{ timeout: 60_000, interval: 200 },
    });
  });

  it("hands the same key to each runner, anew after one that has wiped its secrets, and no other way than by stdin", async () => {
    const [state, seen] = [tempDir(), tempDir()];
    mkdirSync(join(state, "imgbuild"), { mode: 0o700 });
    // Writes down what it was handed, and who else could know of it; ends as its turn says.
    const stub = `
      const { appendFileSync, readFileSync, readdirSync } = require("node:fs");
      const handed = readFileSync(0, "utf8").trim();
      const log = ${JSON.stringify(join(seen, "log"))};
      const turn = readFileSync(log, { encoding: "utf8", flag: "a+" }).split("\\n").length - 1;
      const known = readdirSync("/proc").filter((pid) => /^\\d+$/.test(pid)).some((pid) => {
        const read = (name) => { try { return readFileSync("/proc/" + pid + "/" + name, "latin1"); } catch { return ""; } };
        return read("cmdline").includes(handed) || read("environ").includes(handed);
      });
      appendFileSync(log, JSON.stringify({ handed, known }) + "\\n");
      process.exit([1, 9, 75, 1, 1, 1][turn]);
    `;
    writeFileSync(join(state, "imgbuild/runner.cjs"), stub);
    keepRunning(state);
    const turns = () =>
      existsSync(join(seen, "log")) ? readFileSync(join(seen, "log"), "utf8").trim().split("\n") : [];
    await vi.waitFor(() => expect(turns()).toHaveLength(6), { timeout: 60_000, interval: 200 });
    const told = turns().map((line) => JSON.parse(line) as { handed: string; known: boolean });
    const keys = told.map(({ handed }) => handed);
    expect(new Set(keys.slice(0, 3)).size).toBe(1);
    expect(new Set(keys.slice(3)).size).toBe(1);
    expect(keys[3]).not.toBe(keys[0]);
    for (const key of keys) expect(Buffer.from(key, "base64")).toHaveLength(32);
    expect(told.some(({ known }) => known)).toBe(false);
    // Five ended without having wiped anything: it stays down, and nothing in RAM's files knows a key.
    await sleep(2_500);
    expect(turns()).toHaveLength(6);
    for (const name of readdirSync(state, { recursive: true, encoding: "utf8" })) {
      const file = statSync(join(state, name));
      if (file.isFile())
        for (const key of keys) expect(readFileSync(join(state, name), "utf8")).not.toContain(key);
    }
  });
});
