import { spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { chrootRun, toolRun, treeRun } from "../../src/system/door/chroot.ts";
import { run } from "../../src/system/run/run.ts";
import { Fail } from "../../src/util/fail.ts";
import { theBase } from "../helpers/labs/native.ts";
import { tempDir } from "../helpers/temp-dir.ts";

/** A tree with BusyBox alone. */
function smallTree(): string {
  const tree = join(tempDir(), "tree");
  for (const dir of ["bin", "usr/bin", "dev", "proc", "sys", "run", "tmp", "root"])
    mkdirSync(join(tree, dir), { recursive: true });
  copyFileSync("/usr/bin/busybox", join(tree, "bin/busybox"));
  chmodSync(join(tree, "bin/busybox"), 0o755);
  symlinkSync("busybox", join(tree, "bin/sh"));
  symlinkSync("/bin/busybox", join(tree, "usr/bin/env"));
  return tree;
}

const busybox = (script: string) => ["/bin/sh", "-c", `export PATH=/bin; alias b=/bin/busybox; ${script}`];
const sh = (script: string) => busybox(script.replaceAll(/\bb /g, "/bin/busybox "));

const mountsBelow = (path: string) =>
  readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .filter((line) => line.includes(path));

/** Processes of this machine with that word in their arguments. */
function processesWith(word: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(word);
    } catch {
      return false;
    }
  });
}

async function expectGone(word: string, tree: string): Promise<void> {
  for (let tries = 0; tries < 40 && processesWith(word).length > 0; tries += 1) await sleep(50);
  expect(processesWith(word)).toEqual([]);
  expect(mountsBelow(tree)).toEqual([]);
}

describe("chrootRun", () => {
  it("runs in a container in which there is no process of the number that bubblewrap's child has inside", async () => {
    const tree = smallTree();
    const directory = tempDir();
    const program = join(directory, "program.mts");
    const source = resolve("src/system/door/chroot.ts");
    writeFileSync(
      program,
      `import { chrootRun } from ${JSON.stringify(source)};
console.log((await chrootRun(${JSON.stringify(tree)}, ["/bin/busybox", "echo", "there"])).stdout);
`,
    );
    // The first numbers are those of programs that have ended.
    const container = 'for one in $(seq 20); do /bin/true; done; exec "$@"';
    const node = [process.execPath, "--import", resolve("node_modules/tsx/dist/loader.mjs"), program];
    const { stdout } = await run([
      ...["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", container, "sh", ...node],
    ]);
    expect(stdout).toContain("there");
  });

  it("runs a program of a tree in /dev/shm, whose device nodes are read-only all the same", async () => {
    const tree = smallTree();
    const shm = mkdtempSync("/dev/shm/imgbuild-chroot-");
    try {
      cpSync(tree, join(shm, "tree"), { recursive: true, verbatimSymlinks: true });
      const { stdout } = await chrootRun(
        join(shm, "tree"),
        sh(
          "b chmod 600 /dev/null 2>/dev/null || echo cannot change; b echo text > /dev/null && echo can write",
        ),
      );
      expect(stdout).toBe("cannot change\ncan write\n");
    } finally {
      rmSync(shm, { recursive: true });
    }
  });

  it("leaves no mount and no process when the program ends, whatever it started", async () => {
    const tree = smallTree();
    const { stdout, stderr } = await chrootRun(
      tree,
      sh(
        "b mount -t tmpfs tmpfs /root; b setsid b sleep 604801 >/dev/null 2>&1 & b grep -c /root /proc/mounts || true",
      ),
    );
    expect({ stdout, stderr }).toEqual({
      stdout: "0\n",
      stderr: expect.stringMatching(/^mount: permission denied/),
    });
    await expectGone("604801", tree);
    expect(readdirSync(join(tree, "dev"))).toEqual([]);
    expect(readdirSync(join(tree, "run"))).toEqual([]);
  });

  it("leaves none when it takes too long", async () => {
    const tree = smallTree();
    const argv = sh("b sleep 604802 & b sleep 604802");
    await expect(chrootRun(tree, argv, { timeoutMs: 700 })).rejects.toThrow(/did not end within 1 s/);
    await expectGone("604802", tree);
  });

  it("leaves none when it is interrupted or killed from outside", async () => {
    const tree = smallTree();
    const stop = new AbortController();
    const reason = new Fail("interrupted");
    const interrupted = chrootRun(tree, sh("b sleep 604803"), { signal: stop.signal });
    await started("604803");
    stop.abort(reason);
    await expect(interrupted).rejects.toBe(reason);
    await expectGone("604803", tree);
    const killed = chrootRun(tree, sh("b sleep 604804 & wait"));
    const failure = killed.catch((error: unknown) => error);
    await started("604804");
    for (const pid of processesWith("604804")) process.kill(Number(pid), "SIGKILL");
    await failure;
    await expectGone("604804", tree);
  });

  it("gives the program nothing of the machine: an empty /sys, few devices, its own processes", async () => {
    const { stdout } = await chrootRun(
      smallTree(),
      sh(
        "b ls /sys; echo --; b ls /dev; echo --; b ls /proc | b grep -E '^[0-9]+$' | b wc -l; echo --; b env; echo --; b touch /sys/x || echo read-only; b ls /run /tmp",
      ),
    );
    const [sys, dev, count, env, rest] = stdout.split("--\n");
    expect(sys).toBe("");
    expect(dev!.trim().split("\n").sort()).toEqual(
      [
        "core",
        "fd",
        "full",
        "null",
        "ptmx",
        "pts",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "tty",
        "urandom",
        "zero",
      ].sort(),
    );
    expect(Number(count)).toBeLessThan(8);
    expect(
      env!
        .trim()
        .split("\n")
        .map((line) => line.split("=")[0])
        .sort(),
    ).toEqual(expect.arrayContaining(["LC_ALL", "PATH"]));
    expect(env).not.toContain("HOME=/root/");
    expect(rest).toContain("read-only");
    expect(rest).toContain("/run:");
  });

  it("takes the machine's name from the tree, and gives no network but where it is asked for", async () => {
    const tree = smallTree();
    const see = sh(
      "b hostname; b tail -n +3 /proc/net/dev | b sed 's/:.*//' | b tr -d ' ' | b sort | b tr '\\n' ' '",
    );
    expect((await chrootRun(tree, see)).stdout).toBe("localhost\nlo ");
    mkdirSync(join(tree, "etc"));
    writeFileSync(join(tree, "etc/hostname"), "web\n");
    const outside = readFileSync("/proc/net/dev", "utf8").trim().split("\n").slice(2);
    const cards = outside.map((line) => line.split(":")[0]!.trim()).sort();
    expect((await chrootRun(tree, see, { network: true })).stdout).toBe(`web\n${cards.join(" ")} `);
  });

  it("gives the program its own environment, and what starts it none of that", async () => {
    const tree = smallTree();
    // A definition may name any variable; a library of its own is to be loaded inside at most.
    const env = { PATH: "/bin", LD_PRELOAD: "/nonexistent/imgbuild.so", ODD: "a 'b'\nc" };
    const { stdout, stderr } = await chrootRun(tree, ["/bin/busybox", "env"], { env });
    expect(stdout.trim().split("\n").sort()).toEqual(
      ["LD_PRELOAD=/nonexistent/imgbuild.so", "ODD=a 'b'", "PATH=/bin", "PWD=/", "c"].sort(),
    );
    expect(stderr).not.toContain("imgbuild.so");
    await expect(chrootRun(tree, ["/bin/busybox"], { env: { A: "x\0--bind\0/\0/mnt" } })).rejects.toThrow(
      /has a NUL in it/,
    );
  });

  it("leaves no process when we are killed ourselves", async () => {
    const tree = smallTree();
    const program = `import { chrootRun } from "./src/system/door/chroot.ts"; await chrootRun(${JSON.stringify(tree)}, ${JSON.stringify(sh("b setsid b sleep 604805 & wait"))});`;
    const file = join(tempDir(), "program.mts");
    writeFileSync(file, program.replace("./src", join(process.cwd(), "src")));
    const child = spawn(process.execPath, ["--import", "tsx", file], { stdio: "ignore" });
    await started("604805");
    child.kill("SIGKILL");
    await expectGone("604805", tree);
  });

  it("hands binds over, those read-only so that not even root writes", async () => {
    const tree = smallTree();
    const [ro, rw] = [tempDir(), tempDir()];
    writeFileSync(join(ro, "in"), "from outside\n");
    const binds = [
      { from: ro, to: "/run/given", readOnly: true },
      { from: rw, to: "/run/ours" },
      { from: join(ro, "in"), to: "/tmp/one file", readOnly: true },
    ];
    const { stdout, stderr } = await chrootRun(
      tree,
      sh(
        "b cat /run/given/in '/tmp/one file'; echo x > /run/ours/out; echo y > /run/given/out; echo z > '/tmp/one file'; true",
      ),
      { binds },
    );
    expect(stdout).toBe("from outside\nfrom outside\n");
    expect(stderr.match(/Read-only file system/g)).toHaveLength(2);
    expect(readFileSync(join(rw, "out"), "utf8")).toBe("x\n");
    expect(readdirSync(ro)).toEqual(["in"]);
    expect(readFileSync(join(ro, "in"), "utf8")).toBe("from outside\n");
    expect(existsSync(join(tree, "run/given"))).toBe(false);
  });

  it("tells a failure by the program's own command, with its words", async () => {
    const failure = chrootRun(smallTree(), ["/bin/sh", "-c", "echo oh >&2; exit 7"]);
    await expect(failure).rejects.toThrow('/bin/sh -c "echo oh >&2; exit 7" exited 7\noh');
  });
});

async function started(word: string): Promise<void> {
  for (let tries = 0; tries < 100 && processesWith(word).length === 0; tries += 1) await sleep(50);
  expect(processesWith(word).length).toBeGreaterThan(0);
}

describe("treeRun", () => {
  it("spares the program its waits for the disk where the base has the means", async () => {
    const tree = smallTree();
    const base = await theBase();
    const preload = async (from: string | undefined) =>
      (await treeRun(tree, from, ["/bin/busybox", "env"])).stdout.includes(
        "LD_PRELOAD=/run/imgbuild/libeatmydata.so",
      );
    const has = existsSync(join(base, "usr/lib/x86_64-linux-gnu/libeatmydata.so"));
    expect([await preload(base), await preload(undefined)]).toEqual([has, false]);
  });
});

describe("toolRun", () => {
  it("runs the base's programs upon our files, at the same paths, and leaves the base as it is", async () => {
    const base = await theBase();
    const work = tempDir();
    const before = readdirSync(base);
    const binds = [{ from: work, to: work }];
    const { stdout } = await toolRun(
      base,
      ["sh", "-c", `echo made > ${work}/made; mke2fs -V 2>&1; touch /usr/x /etc/x; true`],
      { binds },
    );
    expect(stdout).toMatch(/mke2fs 1\.\d+/);
    expect(readFileSync(join(work, "made"), "utf8")).toBe("made\n");
    expect(readdirSync(base)).toEqual(before);
    for (const path of ["usr/x", "etc/x", work.slice(1)])
      expect(existsSync(join(base, path)), path).toBe(false);
    expect(mountsBelow("imgbuild-tools")).toEqual([]);
  });

  it("refuses what would lie upon the tools' own files", async () => {
    for (const to of ["/usr/x", "/etc"])
      await expect(toolRun("/nonexistent", ["true"], { binds: [{ from: "/tmp", to }] })).rejects.toThrow(
        `${to} is where the tools' own files are`,
      );
  });
});
