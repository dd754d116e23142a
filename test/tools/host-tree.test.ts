import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { buildBase } from "../../src/operator/base/base.ts";
import { squashfsStart } from "../../src/operator/base/pack.ts";
import { mountPointsOf } from "../../src/operator/build/layers.ts";
import { definitionDigest } from "../../src/operator/definition/digest.ts";
import { makeLockFor, mirrorsFor } from "../../src/operator/lock/lock.ts";
import { signedPayload } from "../../src/operator/runner-link/payload.ts";
import { stageFor } from "../../src/operator/takeover/ship-tree.ts";
import {
  type BaseFiles,
  prepare,
  shipBase,
  sizeOf,
  undo,
  workDir,
} from "../../src/operator/takeover/takeover.ts";
import { makeTreeScript } from "../../src/operator/takeover/tree-script.ts";
import type { HostRoom } from "../../src/operator/tree/host-room.ts";
import { makeTreeOnHost } from "../../src/operator/tree/host-tree.ts";
import type { PackedTree } from "../../src/operator/tree/packed-tree.ts";
import {
  imageInputs,
  type TreeForHost,
  treeForHost,
  treeJobPlan,
} from "../../src/operator/tree/tree-for-host.ts";
import { treesHere } from "../../src/operator/tree/trees.ts";
import type { Lock } from "../../src/schema/lock.ts";
import { Spec } from "../../src/schema/spec.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { hardware } from "../../src/target/machine.ts";
import { scriptArgv } from "../../src/transport/script.ts";
import { digestOf, sha256 } from "../../src/util/digest.ts";
import type { Log } from "../../src/util/log.ts";
import { silentLog } from "../../src/util/log.ts";
import { machineFacts } from "../helpers/builders/deployable.ts";
import { root } from "../helpers/builders/storage.ts";
import { localHost } from "../helpers/fakes/local-host.ts";

const mib = 2 ** 20;
const nonce = "d".repeat(64);
const signal = new AbortController().signal;
const options = { cache: cacheRoot(process.env), env: process.env, log: silentLog, signal };
const spec = Spec.parse({
  hostname: "besides",
  packages: { install: ["apt", "openssh-server", "systemd-sysv", "tree"] },
  storage: {
    disks: { system: { match: { serial: "S" }, table: { type: "gpt", partitions: [root] } } },
  },
  users: { admin: { keys: ["ssh-ed25519 AAAA me"] } },
  files: { "/etc/motd": { content: "made beside the old system\n" } },
  provision: [{ name: "look", script: "#!/bin/sh -e\nls /dev > /root/devices; ls /sys > /root/sys\n" }],
  secrets: { token: { file: "token.age", path: "/etc/token" } },
});
let lock: Lock;
let base: BaseFiles;
let tree: TreeForHost;
let here: PackedTree;
const filesDir = mkdtempSync(join(tmpdir(), "imgbuild-files-"));
afterAll(() => rmSync(filesDir, { recursive: true, force: true }));
const files = new Map([["/etc/issue.own", { bytes: Buffer.from("own\n"), mode: 0o640 }]]);

beforeAll(async () => {
  base = await buildBase(options);
  lock = await makeLockFor(spec, options);
  const own = { files, links: [] };
  const mirrors = await mirrorsFor(spec, process.env);
  const inputs = { spec, lock, ...own, definition: definitionDigest(spec, lock, own), mirrors };
  tree = treeForHost(inputs, { facts: machineFacts(), mirrors });
  mkdirSync(join(filesDir, "etc"));
  writeFileSync(join(filesDir, "etc/issue.own"), "own\n", { mode: 0o640 });
  here = await treesHere(options).make({ ...imageInputs(inputs), filesDir }, tree.made, silentLog);
}, 1_200_000);

/** This machine as an old system: with its own /run and /var/cache, in which it stays when its operator is gone. */
async function oldSystem() {
  const holder: ChildProcess = spawn(
    "unshare",
    [
      ...["--mount", "--propagation", "private", "sh", "-ec"],
      "for d in /run /var/cache /sys/firmware; do mount -t tmpfs -o mode=755 tmpfs $d; done; echo ready; exec sleep 3600",
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  onTestFinished(() => void holder.kill("SIGKILL"));
  await once(holder.stdout!, "data");
  const enter = ["nsenter", "--mount", "--target", String(holder.pid), "--"];
  const { host } = localHost({ wrap: (argv) => [...enter, ...argv] });
  const upload = async (source: string | Uint8Array, to: string, { mode }: { mode: number }) => {
    const stdin = typeof source === "string" ? readFileSync(source) : source;
    await run([...enter, "sh", "-c", 'cat > "$1"; chmod "$2" "$1"', "sh", to, mode.toString(8)], { stdin });
  };
  const inside = async (script: string) =>
    (await run([...enter, "sh", "-c", script], { accept: "any" })).stdout;
  return { host: { ...host, upload }, inside, enter };
}

type Old = Awaited<ReturnType<typeof oldSystem>>;

async function job() {
  const plan = treeJobPlan({ spec, definition: "def" } as never, tree.made);
  const mirrors = Object.entries(await mirrorsFor(spec, process.env));
  const order = {
    ...{ version: 1 as const, definition: "def", planDigest: digestOf(plan), disks: [], secrets: [] },
    mirrors: Object.fromEntries(mirrors.map(([name, urls]) => [name, [...urls]])),
  };
  const work = { plan, lock, order, files, debs: new Map() };
  const signed = await signedPayload(work, { nonce, machine: hardware(), now: Date.now() });
  return { nonce, ...signed, epoch: tree.made.epoch, mountPoints: mountPointsOf(tree.made) };
}

/** The base on the old system, and where its tree will be. */
async function shipped({ host }: Old, cacheMib: number) {
  const sizes = { cacheMib, baseBytes: sizeOf(base), signal };
  await prepare(host, 400, signal);
  const { directory } = await shipBase(host, base, cacheMib, signal, () => {});
  return { base, directory, stage: await stageFor(host, 60 * mib, { ...sizes, directory }) };
}

const room = (on: HostRoom["on"]): HostRoom => ({ on, mib: 600, sum: "", treeBytes: 60 * mib });

/** What of it is left: mounts and files of the old system, loop devices and processes of this machine. */
async function left({ inside }: Old, directory: string): Promise<string> {
  return await inside(`
    ls ${workDir}; ls ${directory}; grep -c ' ${workDir}/' /proc/mounts
    for f in /sys/block/loop*/loop/backing_file; do [ ! -r "$f" ] || grep -E "squashfs|build.img" "$f"; done
    for p in /proc/[0-9]*; do tr '\\0' ' ' < "$p/cmdline" 2>/dev/null | grep -aE "^(/usr/bin/node /run/imgbuild/runner|/run/imgbuild/busybox)"; done`);
}

const nothing = "0\n";
const baseFiles = "kernel\nkit\nouter\nsquashfs\n";

/** The digest of what is packed. */
async function contentOf(archive: Buffer, { size }: PackedTree["tree"]): Promise<string> {
  const packed = archive.subarray(here.start, here.start + size);
  const { stdout } = await run(["sh", "-c", "zstd -dc | sha256sum"], { stdin: packed });
  return stdout;
}

describe("a tree that is made beside the old system", () => {
  for (const on of ["memory", "disk"] as const)
    it(`is that of the operator's machine, byte for byte, in ${on}; and nothing else is left`, async () => {
      const old = await oldSystem();
      const at = await shipped(old, on === "disk" ? 4000 : 0);
      const doing: string[] = [];
      const log: Log = {
        ...silentLog,
        task: async (what, work) => {
          doing.push(what);
          return await work(log);
        },
      };
      const made = await makeTreeOnHost(old.host, await job(), { ...at, room: room(on), log, signal });
      expect(doing).toEqual(expect.arrayContaining(["packing the tree"]));
      expect(made.fetched.packages).toBe(lock.packages.length);
      expect(made.tree.contentBytes).toBe(here.tree.contentBytes);
      const file = `/proc/${old.enter[3]}/root${at.stage}/tree`;
      const archive = readFileSync(file);
      expect(archive.length).toBe(made.archiveBytes);
      const packed = archive.subarray(here.start, here.start + made.tree.size);
      expect(sha256(packed)).toBe(made.tree.sha256);
      expect(await contentOf(archive, made.tree)).toBe(
        await contentOf(readFileSync(here.archive.path), here.tree),
      );
      await old.inside(`rm ${at.stage}/tree`);
      expect(await left(old, at.directory)).toBe(
        on === "disk" ? `${baseFiles}${nothing}` : `${baseFiles}${baseFiles}${nothing}`,
      );
    });

  it("is taken back in the middle, with all that it has started", async () => {
    const old = await oldSystem();
    const at = await shipped(old, 4000);
    const stop = new AbortController();
    let namespace = "";
    const log: Log = {
      ...silentLog,
      task: async (what, work) => {
        if (/^installing/.test(what)) {
          namespace = (await old.inside(`cat ${workDir}/build/namespace`)).trim();
          setTimeout(() => stop.abort(new Error("enough")), 3_000);
        }
        return await work(log);
      },
    };
    const making = makeTreeOnHost(old.host, await job(), {
      ...at,
      room: room("disk"),
      log,
      signal: stop.signal,
    });
    await expect(making).rejects.toThrow("enough");
    await undo(old.host);
    expect(await left(old, at.directory)).toBe(`${baseFiles}${nothing}`);
    expect(await old.inside(`ls -d ${workDir}`)).toBe("");
    expect(namespace).toMatch(/^\d+$/);
    expect(await old.inside(`find /sys/fs/cgroup -name 'imgbuild-${namespace}-*'`)).toBe("");
  });

  it("ends when its operator is lost, and when its time is up", async () => {
    for (const seconds of ["600", "6"]) {
      const old = await oldSystem();
      const at = await shipped(old, 4000);
      const { payload, ...words } = await job();
      await old.host.upload(base.busybox.path, `${workDir}/busybox`, { mode: 0o700 });
      await old.host.upload(Buffer.from(JSON.stringify({ version: 1, ...words })), `${workDir}/job.json`, {
        mode: 0o600,
      });
      await old.host.upload(payload, `${workDir}/job.tar.gz`, { mode: 0o600 });
      const args = [workDir, at.directory, at.stage, "memory", "600", seconds, String(await squashfsStart())];
      const [program, ...more] = [...old.enter, ...scriptArgv(makeTreeScript, args)];
      const child = spawn(program!, more, { stdio: ["ignore", "pipe", "pipe"] });
      onTestFinished(() => void child.kill("SIGKILL"));
      let said = "";
      child.stderr.on("data", (chunk) => (said += chunk));
      const ended = once(child, "exit");
      if (seconds === "600") {
        await sleep(4_000);
        child.stdout.destroy();
      } else child.stdout.resume();
      const [code] = await ended;
      expect(code).toBe(1);
      expect(said).toMatch(
        seconds === "600" ? /the connection to the operator is lost/ : /it took longer than 6 s/,
      );
      expect(await left(old, at.directory)).toBe(`${baseFiles}${nothing}`);
    }
  });

  it("says why it failed, and how to go on, where the room is too small", async () => {
    const old = await oldSystem();
    const at = await shipped(old, 4000);
    for (const on of ["memory", "disk"] as const) {
      const making = makeTreeOnHost(old.host, await job(), {
        ...{ ...at, room: { ...room(on), mib: 90 }, log: silentLog, signal },
      });
      await expect(making).rejects.toMatchObject({
        message: expect.stringMatching(/^the tree could not be made on the old system: .*no space/is),
        hint: expect.stringMatching(/^90 MiB of (memory|disk) were too few; deploy with --build-on local/),
      });
      expect(await left(old, at.directory)).toBe(`${baseFiles}${nothing}`);
    }
  });
});
