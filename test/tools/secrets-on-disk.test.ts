import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildImage } from "../../src/operator/build/image.ts";
import { definitionDigest } from "../../src/operator/definition/digest.ts";
import { readFiles } from "../../src/operator/definition/files.ts";
import { mirrorsFor } from "../../src/operator/lock/lock.ts";
import type { ImageFormat } from "../../src/operator/output/output.ts";
import { sealFor } from "../../src/secrets/seal.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { plainEnv, run } from "../../src/system/run/run.ts";
import { silentLog } from "../../src/util/log.ts";
import { Secret } from "../../src/util/secret.ts";
import { secretDefinition, secretSpec, secretText } from "../helpers/builders/build-secret.ts";
import { generateIdentity } from "../helpers/builders/identity.ts";
import { startsIn, traced } from "../helpers/checks/exec-trace.ts";
import { filesWith, formsOf, hitsIn, hitsInFile } from "../helpers/checks/secret-forms.ts";
import { sealedFields } from "../helpers/labs/build-sealed.ts";
import { environment, program } from "../helpers/labs/cli-lab.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const usual = cacheRoot(process.env);
const clearMs = 30_000;
const stopMs = 300_000;
const buildMs = 900_000;

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

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/** Of letters and digits, with some that are different in each form. */
const random = () => `Kz${[...randomBytes(40)].map((byte) => letters[byte % letters.length]).join("")}`;

describe("a build with secrets (F26)", () => {
  const [token, hash] = [random(), random()];
  const secrets = new Map([
    ["token", token],
    ["hash", hash],
  ]);
  const contents = { token: `a "secret" \\ 100% $HOME\n${token}\n`, hash: `$6$salt$${hash}${hash}\n` };
  let place: string;
  let starts: Buffer[][];
  let said: string;

  beforeAll(async () => {
    place = mkdtempSync(join(tmpdir(), "imgbuild-test-"));
    const [definition, identityFile] = [join(place, "definition"), join(place, "vault/identity")];
    for (const name of ["definition", "home", "tmp", "vault"]) mkdirSync(join(place, name));
    const { identity, recipient } = await generateIdentity();
    writeFileSync(identityFile, `${identity}\n`, { mode: 0o600 });
    for (const [name, content] of Object.entries(contents))
      writeFileSync(join(definition, `${name}.age`), await sealFor(recipient, Buffer.from(content)));
    const { storage: _none, ...tree } = { ...secretSpec, ...sealedFields };
    writeFileSync(
      join(definition, "IMGBUILD.ts"),
      `import { image } from "imgbuild";\nexport default image(${JSON.stringify(tree)});\n`,
    );
    const own = { IMGBUILD_CACHE: cache, TMPDIR: join(place, "tmp"), HOME: join(place, "home") };
    const options = { env: { ...environment, ...own, XDG_STATE_HOME: own.HOME }, timeoutMs: buildMs };
    await run([program, "lock", definition], options);
    const ways = [
      [
        ...[
          process.execPath,
          "--import",
          "tsx",
          resolve("test/helpers/labs/build-sealed.ts"),
          cache,
          definition,
        ],
        ...[identityFile, join(place, "disk.raw")],
      ],
      [
        ...[program, "--json", "build", definition, "--with-secrets", "--identity", identityFile],
        ...["--output", join(place, "tree.tar")],
      ],
    ];
    [starts, said] = [[], ""];
    for (const argv of ways) {
      const { stdout, stderr } = await run(traced(argv, join(place, "trace")), options);
      starts.push(...startsIn(join(place, "trace")));
      said += stdout + stderr;
    }
  });
  afterAll(() => rmSync(place, { recursive: true, force: true }));

  it("names them to no program that it starts, in arguments or environment, in whatever form", () => {
    const all = starts.map((words) => words.join(" "));
    for (const known of ["dpkg --force-unsafe-io", "mke2fs", "debugfs", "--with-secrets", "IMGBUILD_CACHE="])
      expect(
        all.some((one) => one.includes(known)),
        known,
      ).toBe(true);
    expect(starts.flatMap((words) => words.flatMap((word) => hitsIn(word, secrets)))).toEqual([]);
  });

  it("says none of them", () => {
    expect(said).toContain('"event":"done"');
    expect(hitsIn(Buffer.from(said), secrets)).toEqual([]);
  });

  it("leaves none of them in its cache, its directories, home or definition", () => {
    expect(filesWith(cache, secrets)).toEqual([]);
    for (const name of ["definition", "home", "tmp", "vault"])
      expect(filesWith(join(place, name), secrets)).toEqual([]);
  });

  it("puts each into the blocks of its declared path alone, once, and in no other form", async () => {
    const disk = join(place, "disk.raw");
    const blocks = new Map<string, Set<number>>();
    const { offset } = await rootOf(disk);
    for (const path of ["/etc/token", "/etc/shadow"]) blocks.set(path, await blocksOf(disk, offset, path));
    const places = hitsInFile(disk, secrets).map(({ secret, form, at }) => {
      const block = Math.floor((at - offset) / blockBytes);
      const path = [...blocks].find(([, own]) => own.has(block))?.[0];
      return `${secret}, ${form}: ${path ?? `in no file, at ${at}`}`;
    });
    // The hash has its random part twice.
    expect(places.sort()).toEqual([
      ...["hash, plain: /etc/shadow", "hash, plain: /etc/shadow", "token, plain: /etc/token"],
    ]);
    const inArchive = hitsInFile(join(place, "tree.tar"), secrets).map(
      ({ secret, form }) => `${secret}, ${form}`,
    );
    expect(inArchive.sort()).toEqual(["hash, plain", "hash, plain", "token, plain"]);
  });

  it.each([...formsOf(random()).keys()])("would be found to offend: %s", async (form) => {
    const bytes = formsOf(token).get(form)!;
    const text = bytes.toString("latin1").replaceAll("\0", "");
    // What is given to a program has no NUL, and so no UTF-16.
    if (!form.startsWith("UTF-16")) {
      const [asArgument, asVariable] = [join(place, "argument"), join(place, "variable")];
      await run(traced(["true", `x${text}x`], asArgument));
      await run(traced(["true"], asVariable), { env: { ...plainEnv, V: `x${text}x` } });
      for (const file of [asArgument, asVariable])
        expect(startsIn(file).flatMap((words) => words.flatMap((word) => hitsIn(word, secrets)))).not.toEqual(
          [],
        );
    }
    // Over the end of what is read at a time, in what is a hole before and after.
    const offender = join(place, "tmp/offender");
    const fd = openSync(offender, "w");
    const at = 8 * 2 ** 20 - 7;
    writeSync(fd, bytes, 0, bytes.length, at);
    ftruncateSync(fd, 32 * 2 ** 20);
    closeSync(fd);
    expect(hitsInFile(offender, secrets)).toContainEqual({ secret: "token", form, at });
    expect(filesWith(join(place, "tmp"), secrets)).toContain(`${offender}: token, ${form}`);
    rmSync(offender);
  });
});

const blockBytes = 4096;

/** Where the root's filesystem begins. */
async function rootOf(image: string): Promise<{ offset: number }> {
  const { stdout } = await run(["sfdisk", "--json", image]);
  const { partitiontable } = JSON.parse(stdout) as {
    partitiontable: { partitions: { start: number }[] };
  };
  return { offset: partitiontable.partitions.at(-1)!.start * 512 };
}

/** The blocks of a file of an ext4, by its own account. */
async function blocksOf(image: string, offset: number, path: string): Promise<Set<number>> {
  const { stdout } = await run(["debugfs", "-R", `blocks ${path}`, `${image}?offset=${offset}`]);
  const blocks = stdout.trim().split(/\s+/).map(Number);
  expect(blocks.every((block) => block > 0)).toBe(true);
  return new Set(blocks);
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
    for (const step of ["writing 1 secret", "clearing up", "adding the system's own files to"]) {
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
  const program = resolve("test/helpers/builders/build-secret.ts");
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
