import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { baseTree } from "../../src/operator/base.ts";
import { cacheRoot } from "../../src/system/cache.ts";
import { run } from "../../src/system/run.ts";
import { silentLog } from "../../src/util/log.ts";
import { imgbuild, type Ran } from "../helpers/lab.ts";
import { startSshd } from "../helpers/sshd.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const env = process.env;
const program = resolve("bin/imgbuild");
const timeoutMs = 240_000;
const cli = (args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Ran> =>
  imgbuild(args, { env: { ...env, ...more }, timeoutMs });

/** An expected failure: a line and a hint, no stack. */
function expectFail(ran: Ran, code: number, message: RegExp): void {
  expect({ code: ran.code, stderr: ran.stderr }).toEqual({ code, stderr: expect.stringMatching(message) });
  expect(ran.stderr).not.toMatch(/\n {4}at |this is a bug/);
}

describe("a definition that is wrong", () => {
  it("is told with file, line, field and what is accepted", async () => {
    const dir = tempDir();
    writeFileSync(
      join(dir, "IMGBUILD.ts"),
      'import { image } from "imgbuild";\n\nexport default image({\n  hostname: "Not A Name",\n});\n',
    );
    expectFail(await cli(["lock", dir]), 1, /IMGBUILD\.ts:4: hostname: .*a host name/);
    expectFail(await cli(["lock", join(dir, "nothing")]), 1, /no definition at .*\n.*imgbuild init/);
  });

  it("whose lock is missing or stale is not built", async () => {
    const dir = tempDir();
    expect((await cli(["init", join(dir, "new")])).code).toBe(0);
    expectFail(await cli(["init", join(dir, "new")]), 1, /is not empty/);
    expectFail(
      await cli(["plan", join(dir, "new")]),
      1,
      /imgbuild\.lock\.yaml does not exist\n.*imgbuild lock|authorized_keys|users/,
    );
  });
});

describe("wrong usage", () => {
  it("exits 2 and says what is accepted", async () => {
    expectFail(await cli(["no-such-command"]), 2, /unknown command/);
    expectFail(await cli(["build", "imgbuild/web"]), 2, /-o, --output/);
    expectFail(
      await cli(["build", "imgbuild/web", "-o", "x", "--format", "iso"]),
      2,
      /raw, qcow2, tar, dir are accepted/,
    );
    expectFail(await cli(["deploy", "imgbuild/web", "host", "--dead-man", "5"]), 2, /from 10 to 7200/);
    expect((await cli(["--help"])).code).toBe(0);
  });
});

describe("--json", () => {
  it("gives one object a line on stdout, failures included", async () => {
    const good = await cli(["--json", "lock", "--check", "imgbuild/web"]);
    expect(good.code).toBe(0);
    const events = (ran: Ran) =>
      ran.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { event: string });
    expect(events(good).at(-1)).toMatchObject({ event: "done" });
    const bad = await cli(["lock", "/nonexistent", "--json"]);
    expect(bad.code).toBe(1);
    expect(events(bad).at(-1)).toMatchObject({
      event: "error",
      message: expect.stringContaining("no definition"),
    });
  });
});

describe("secrets", () => {
  it("do not open with the wrong identity, with none, or with the wrong passphrase", async () => {
    const dir = tempDir();
    const other = join(dir, "other.txt");
    writeFileSync(other, "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n");
    const file = "secrets/web-htpasswd.age";
    expectFail(await cli(["secrets", "show", file], { IMGBUILD_IDENTITY: "" }), 1, /hint: .*identity/);
    const wrong = await cli(["secrets", "show", file, "--identity", other]);
    expectFail(wrong, 1, /identity/);
    expect(wrong.stdout).toBe("");
    const right = await cli(["secrets", "show", file, "--identity", "secrets/demo-identity.txt"]);
    expect(right.code).toBe(0);
    expect(right.stdout).toMatch(/^user:/);
  });
});

describe("a host", () => {
  it("whose key is unknown or another is not talked to", async () => {
    const home = tempDir();
    const sshd = await startSshd(home);
    const known = join(home, "operator_known");
    writeFileSync(known, "");
    const target = `root@127.0.0.1:${sshd.port}`;
    const args = [
      "plan",
      "imgbuild/web",
      target,
      "--known-hosts",
      known,
      "--ssh-key",
      "secrets/demo-admin-key",
    ];
    expectFail(await cli(args, { HOME: home }), 1, /host key of .* is not known: .*SHA256:[\s\S]*hint: /);
    writeFileSync(
      known,
      `[127.0.0.1]:${sshd.port} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDFHKWLuCOuPsttHVjFplglBiYMTcmwN2CRflKJcO0it\n`,
    );
    expectFail(await cli(args, { HOME: home }), 1, /operator_known:1/);
    expectFail(
      await cli([
        "plan",
        "imgbuild/web",
        "127.0.0.1:9",
        "--known-hosts",
        known,
        "--ssh-key",
        "secrets/demo-admin-key",
      ]),
      1,
      /127\.0\.0\.1/,
    );
  });
});

describe("lock", () => {
  it("refuses an archive that is out of reach, and one whose signature is not Debian's", async () => {
    const dir = tempDir();
    cpSync("imgbuild/web", join(dir, "imgbuild/web"), { recursive: true });
    cpSync("secrets", join(dir, "secrets"), { recursive: true });
    const definition = join(dir, "imgbuild/web");
    const file = join(definition, "IMGBUILD.ts");
    const withMirror = (url: string) =>
      writeFileSync(
        file,
        readFileSync("imgbuild/web/IMGBUILD.ts", "utf8").replace(
          'suite: "trixie"',
          `suite: "trixie", mirror: "${url}"`,
        ),
      );
    withMirror("http://127.0.0.1:47/debian");
    const cache = { IMGBUILD_CACHE: join(dir, "cache") };
    expectFail(
      await cli(["lock", "--update", definition], cache),
      1,
      /InRelease cannot be fetched: http:\/\/127\.0\.0\.1:47/,
    );
    const server = await forger();
    try {
      withMirror(`http://127.0.0.1:${server.port}/debian`);
      expectFail(
        await cli(["lock", "--update", definition], cache),
        1,
        /InRelease of trixie: [\s\S]*somebody stands between/,
      );
    } finally {
      server.stop();
    }
    expect(readFileSync(join(definition, "imgbuild.lock.yaml"), "utf8")).toBe(
      readFileSync("imgbuild/web/imgbuild.lock.yaml", "utf8"),
    );
  });
});

describe("build", () => {
  it("needs root, and says so", async () => {
    const dir = tempDir();
    await run(["chmod", "777", dir]);
    const argv = [
      "setpriv",
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      "env",
      `HOME=${dir}`,
      `IMGBUILD_CACHE=${dir}/cache`,
    ];
    const ran = await run(
      [...argv, process.execPath, "--import", "tsx", program, "build", "imgbuild/web", "-o", `${dir}/x.raw`],
      { accept: [1] },
    );
    expect(ran.stderr).toMatch(/needs root\n.*sudo/);
    expect(existsSync(`${dir}/x.raw`)).toBe(false);
  });

  it("tells a missing program and its package", async () => {
    const script = `mount --bind /dev/null "$1"; shift; exec "$@"`;
    const hide = (path: string, ...args: string[]) =>
      run(["unshare", "--mount", "sh", "-c", script, "sh", path, program, ...args], {
        accept: [0, 1, 70],
        env: { ...(env as Record<string, string>) },
        timeoutMs,
      });
    const ran = await hide("/usr/bin/qemu-img", "doctor");
    expect(ran.code).toBe(1);
    expect(ran.stdout + ran.stderr).toMatch(/qemu-img \(package qemu-utils[\s\S]*apt-get install/);
  });

  it("on a full disk ends with the reason and leaves nothing", async () => {
    const dir = tempDir();
    const script = `mount -t tmpfs -o size=64m small "$1" || exit 9; "$2" build imgbuild/web -o "$1/web.raw"; code=$?; ls -A "$1" >&2; exit $code`;
    const ran = await run(["unshare", "--mount", "sh", "-c", script, "sh", dir, program], {
      accept: [1, 70],
      env: { ...(env as Record<string, string>) },
      timeoutMs,
    });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/No space left|no space left/);
    expect(ran.stderr).not.toMatch(/imgbuild-[A-Za-z0-9]{6}\n?$/);
  });

  it("interrupted at any moment leaves no mount, process, loop device or file, and a sound cache", async () => {
    await baseTree({ cache: cacheRoot(env), env, log: silentLog, signal: new AbortController().signal });
    const dir = join(tempDir(), "out");
    mkdirSync(dir);
    const mounts = readFileSync("/proc/mounts", "utf8");
    for (const [moment, signal] of [
      ["unpacking 59 essential", "SIGINT"],
      ["configuring", "SIGTERM"],
      ["making the ext4", "SIGINT"],
    ] as const) {
      const child = spawn(program, ["build", "imgbuild/web", "-o", join(dir, "web.raw")], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      let said = "";
      let sent = false;
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        if (sent || !said.includes(moment)) return;
        sent = true;
        setTimeout(() => child.kill(signal), 300);
      });
      const [code] = (await once(child, "close")) as [number | null];
      expect({ moment, code, said: said.slice(-200) }).toMatchObject({ moment, code: 130 });
      expect(readdirSync(dir)).toEqual([]);
      expect(readFileSync("/proc/mounts", "utf8")).toBe(mounts);
      expect(processesNaming(dir)).toEqual([]);
    }
    const whole = await cli(["build", "imgbuild/web", "-o", join(dir, "web.raw")]);
    expect({ code: whole.code, files: readdirSync(dir) }).toEqual({ code: 0, files: ["web.raw"] });
  });
});

/** Command lines of running processes that name the directory. */
function processesNaming(dir: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        return line.includes(dir) ? [line] : [];
      } catch {
        return [];
      }
    });
}

/** An archive whose InRelease is signed by nobody Debian knows. */
async function forger(): Promise<{ port: number; stop: () => void }> {
  const { createServer } = await import("node:http");
  const body = `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSuite: stable\nCodename: trixie\n-----BEGIN PGP SIGNATURE-----\n\niHUEARYKAB0WIQ==\n-----END PGP SIGNATURE-----\n`;
  const server = createServer((_request, response) => response.end(body));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as { port: number }).port, stop: () => server.close() };
}
