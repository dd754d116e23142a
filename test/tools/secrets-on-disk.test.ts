import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readFiles } from "../../src/operator/files.ts";
import { buildImage, definitionDigest } from "../../src/operator/image.ts";
import { mirrorsFor } from "../../src/operator/lock.ts";
import type { ImageFormat } from "../../src/operator/output.ts";
import { cacheRoot } from "../../src/system/cache.ts";
import { run } from "../../src/system/run.ts";
import { silentLog } from "../../src/util/log.ts";
import { Secret } from "../../src/util/secret.ts";
import { secretDefinition, secretText } from "../helpers/build-secret.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const usual = cacheRoot(process.env);
const clearMs = 30_000;
const stopMs = 300_000;

/** A cache of the test's own; packages, indices and base are shared. */
let cache = "";
beforeAll(() => {
  cache = mkdtempSync(join(tmpdir(), "imgbuild-test-"));
  for (const name of ["packages", "index", "base"]) symlinkSync(join(usual, name), join(cache, name));
});
afterAll(() => rmSync(cache, { recursive: true, force: true }));

async function build(format: ImageFormat, name: string, compress?: "zstd"): Promise<string> {
  const options = { cache, env: process.env, log: silentLog, signal: new AbortController().signal };
  const { spec, lock } = await secretDefinition(options);
  const files = readFiles(undefined);
  const output = join(tempDir(), name);
  const secrets = new Map([["token", new Secret("token", Buffer.from(secretText))]]);
  await buildImage(
    {
      ...{ spec, lock, files, filesDir: undefined, secrets },
      definition: definitionDigest(spec, lock, files),
      mirrors: await mirrorsFor(spec, process.env),
    },
    output,
    format,
    { ...options, compress, checksum: format === "raw" },
  );
  return output;
}

describe("an output with secrets", () => {
  it.each<[ImageFormat, string, "zstd"?]>([
    ["raw", "x.raw"],
    ["raw", "x.raw.zst", "zstd"],
    ["qcow2", "x.qcow2"],
    ["tar", "x.tar"],
    ["oci", "x.oci"],
    ["oci-tar", "x.oci.tar"],
    ["dir", "x"],
  ])("is for its user alone: %s as %s", async (format, name, compress) => {
    const output = await build(format, name, compress);
    const found = statSync(output);
    expect((found.mode & 0o7777).toString(8)).toBe(found.isDirectory() ? "700" : "600");
    if (format === "raw") expect(statSync(`${output}.sha256`).mode & 0o777).toBe(0o644);
  });
});

describe("a build with secrets that is killed", () => {
  it("leaves no plain secret, whether in the tree or on the way into the output", async () => {
    for (const step of ["writing 1 secrets", "clearing up", "adding the system's own files to"]) {
      const killed = await killedIn(step);
      // What is left of it is cleared by a process of its own, which the kill did not reach.
      await untilGone(killed.out, killed.pattern);
      expect(await plainIn([killed.out, cache])).toEqual([]);
      expect(await mountsOf(killed.out)).toEqual([]);
    }
  });

  it("and whose guard is killed too, leaves it to this user alone, and to the next build, which clears it", async () => {
    const killed = await killedIn("clearing up", true);
    const [left] = readdirSync(killed.out).filter((name) => killed.pattern.test(name));
    expect(left).toBeDefined();
    expect(statSync(join(killed.out, left!)).mode & 0o7777).toBe(0o700);
    const next = start(killed.out);
    const [code] = (await once(next.child, "exit")) as [number];
    expect({ code, said: next.said() }).toMatchObject({ code: 0 });
    expect(readdirSync(killed.out)).toEqual(["disk.raw"]);
    expect(await mountsOf(killed.out)).toEqual([]);
  });
});

function start(out: string, stopIn = "") {
  const program = resolve("test/helpers/build-secret.ts");
  const args = ["--import", "tsx", program, cache, join(out, "disk.raw"), stopIn];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
  return { child, said: () => text };
}

/** Starts a build and kills it in a step, with its process group and, if asked, the process that guards its directory. */
async function killedIn(step: string, guardToo = false) {
  const out = tempDir();
  const { child, said } = start(out, step);
  const closed = once(child, "close");
  await untilStopped(child.pid!, said);
  expect(await plainIn([out])).not.toEqual([]);
  const guards = guardToo ? await guardsOf(out) : [];
  if (guardToo) expect(guards.length).toBeGreaterThan(0);
  for (const pid of guards) process.kill(pid, "SIGKILL");
  process.kill(-child.pid!, "SIGKILL");
  await closed;
  expect(child.signalCode).toBe("SIGKILL");
  return { out, pattern: /^\.disk\.raw\.imgbuild-/ };
}

async function untilStopped(pid: number, said: () => string): Promise<void> {
  for (let waited = 0; waited < stopMs; waited += 20) {
    const { stdout } = await run(["ps", "-o", "state=", "-p", String(pid)], { accept: [0, 1] });
    if (stdout.trim() === "T") return;
    if (!/^[A-SU-Y]/.test(stdout)) throw new Error(`the build did not stop: ${said()}`);
    await sleep(20);
  }
  throw new Error(`the build did not stop within ${stopMs} ms: ${said()}`);
}

/** Processes that name a directory in their arguments and wait for the end of another. */
async function guardsOf(directory: string): Promise<number[]> {
  const { stdout } = await run(["ps", "-eo", "pid=,args="]);
  return stdout
    .split("\n")
    .filter((line) => line.includes("cat > /dev/null") && line.includes(directory))
    .map((line) => Number.parseInt(line, 10));
}

async function untilGone(directory: string, pattern: RegExp): Promise<void> {
  for (let waited = 0; waited < clearMs; waited += 200) {
    if (!readdirSync(directory).some((name) => pattern.test(name))) return;
    await sleep(200);
  }
  throw new Error(`${directory} still has ${readdirSync(directory).join(", ")}`);
}

/** Files that hold the secret as it is. */
async function plainIn(directories: readonly string[]): Promise<string[]> {
  const { stdout } = await run(
    [
      "grep",
      "--recursive",
      "--text",
      "--files-with-matches",
      "--fixed-strings",
      "--",
      secretText,
      ...directories,
    ],
    { accept: [0, 1, 2], timeoutMs: 600_000 },
  );
  return stdout.split("\n").filter((line) => line !== "");
}

async function mountsOf(directory: string): Promise<string[]> {
  const { stdout } = await run(["cat", "/proc/self/mounts"]);
  return stdout.split("\n").filter((line) => line.includes(directory));
}
