import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Encrypter } from "age-encryption";
import { beforeAll, describe, expect, it } from "vitest";
import type { LockedPackage } from "../../src/schema/lock.ts";
import { cacheRoot } from "../../src/system/files/cache.ts";
import { run } from "../../src/system/run/run.ts";
import { sha256 } from "../../src/util/digest.ts";
import { generateIdentity } from "../helpers/builders/identity.ts";
import { releaseText, signingKey } from "../helpers/builders/signing.ts";
import { imgbuild, type Ran } from "../helpers/imgbuild.ts";
import {
  cachedPackage,
  environment,
  expectFail,
  hidePrograms,
  inNamespace,
  left,
  ownCache,
  ownDefinition,
  program,
  warmCache,
  webPackages,
} from "../helpers/labs/cli-lab.ts";
import { startSshd } from "../helpers/labs/sshd.ts";
import { deadUrl, web } from "../helpers/labs/web.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const cli = (
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  stdin?: string,
): Promise<Ran> =>
  imgbuild(args, {
    env: { ...environment, ...env },
    timeoutMs: 120_000,
    ...(stdin === undefined ? {} : { stdin }),
  });
const events = ({ stdout }: Ran) =>
  stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

beforeAll(warmCache);

describe("a missing program", () => {
  it("is named with its package before anything is made", async () => {
    const dir = tempDir();
    const build = (format: string, hidden: string) =>
      inNamespace(hidePrograms, [hidden], ["build", "imgbuild/web", "--format", format, "-o", `${dir}/web`]);
    expectFail(
      await build("raw", "/usr/bin/unshare"),
      1,
      /unshare is missing \(package util-linux\)/,
      /apt-get/,
    );
    expectFail(
      await build("qcow2", "/usr/bin/qemu-img"),
      1,
      /qemu-img is missing .*qemu-utils/,
      /qemu-utils/,
    );
    const inVm = ["build", "imgbuild/web", "--in-vm", "-o", `${dir}/web`];
    expectFail(
      await inNamespace(hidePrograms, ["/usr/bin/qemu-system-x86_64"], inVm),
      1,
      /qemu-system-x86_64 is missing/,
      /apt-get/,
    );
    const test = (hidden: string) => inNamespace(hidePrograms, [hidden], ["test", "imgbuild/web"]);
    expectFail(await test("/usr/bin/qemu-system-x86_64"), 1, /qemu-system-x86_64 is missing/, /apt-get/);
    expect(left(dir)).toEqual([]);
  });

  it("is what doctor tells, with the command that brings it", async () => {
    expect(await cli(["doctor"])).toEqual({ code: 0, stdout: "everything is here\n", stderr: "" });
    const hidden = ["/usr/bin/qemu-img", "/usr/bin/xz"];
    const ran = await inNamespace(hidePrograms, hidden, ["doctor"]);
    expectFail(ran, 1, /2 things are missing/, /^apt-get install .*qemu-utils xz-utils\n$/);
    expect(ran.stdout).toMatch(/^missing: xz \(package xz-utils, to build\)$/m);
    // apt is asked for all, but only simulates.
    const simulate = join(tempDir(), "apt.conf");
    writeFileSync(simulate, 'APT::Get::Simulate "true";\n');
    const installed = await inNamespace(hidePrograms, hidden, ["doctor", "--install"], {
      env: { APT_CONFIG: simulate },
    });
    expectFail(installed, 1, /Reading package lists[\s\S]*2 things are missing/, /apt-get/);
    expect(installed.stderr).toMatch(/^(Inst qemu-utils |qemu-utils is already the newest version)/m);
    const told = events(await inNamespace(hidePrograms, hidden, ["--json", "doctor"]));
    expect(told.map(({ event }) => event)).toEqual(["missing", "missing", "error"]);
  });
});

describe("a user other than root", () => {
  it("who has no subordinate ids is told so, with what mends it, and nothing is left", async () => {
    const dir = tempDir();
    const out = join(dir, "out");
    mkdirSync(out);
    chmodSync(dir, 0o777);
    chmodSync(out, 0o777);
    const env = { ...environment, HOME: dir, TMPDIR: dir, IMGBUILD_CACHE: join(dir, "cache") };
    const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program];
    const as = (...args: string[]) => run([...nobody, ...args], { accept: [0, 1, 2, 70], env });
    const output = join(out, "x.raw");
    const reason =
      /building needs root, or a user namespace, .*\n {4}\/etc\/subuid gives nobody no subordinate ids/;
    const mend = /^sudo usermod --add-subuids \d+-\d+ --add-subgids \d+-\d+ nobody\n {2}or /;
    expectFail(await as("build", "imgbuild/web", "-o", output), 1, reason, mend);
    expectFail(await as("test", "imgbuild/web"), 1, reason, /or run the same command with sudo$/m);
    expectFail(await as("base", "build"), 1, reason, /make it once by: sudo .* base build$/m);
    expect(left(out)).toEqual([]);
    chmodSync(out, 0o755);
    expectFail(
      await as("init", join(out, "new")),
      1,
      /out\/new: .*out: permission is denied \(EACCES\)/,
      /./,
    );
    const doctor = await as("doctor");
    expectFail(doctor, 1, /1 thing is missing/, mend);
    expect(doctor.stdout).toMatch(/^missing: \/etc\/subgid gives nobody no .* \(to build without root\)$/m);
    expect(left(dir)).toEqual(["out"]);
  });
});

describe("a definition", () => {
  const written = (text: string) => {
    const dir = tempDir();
    writeFileSync(join(dir, "IMGBUILD.ts"), text);
    return dir;
  };

  it.each<[string, string, RegExp]>([
    [
      "a field that is wrong",
      'import { image } from "imgbuild";\n\nexport default image({\n  hostname: "web",\n  users: {\n    admin: { keys: ["no key"] },\n  },\n});\n',
      /IMGBUILD\.ts:6: users\.admin\.keys\[0\]: /,
    ],
    ["an error of syntax", "export default {\n  hostname: ,\n};\n", /IMGBUILD\.ts:2: unexpected/],
    ["an import that is not there", 'import "./nothing.ts";\n', /IMGBUILD\.ts:1: could not resolve/],
    ["an exception", 'const a = 1;\nthrow new Error("no " + a);\n', /IMGBUILD\.ts:2: no 1/],
  ])("with %s is told with its line", async (_name, text, message) => {
    const dir = written(text);
    expectFail(await cli(["lock", dir]), 1, message, /./);
    expectFail(await cli(["build", dir, "-o", join(dir, "x.raw")]), 1, message, /./);
    expect(readdirSync(dir)).toEqual(["IMGBUILD.ts"]);
  });

  it("that is not there is told by every command that takes one", async () => {
    const nowhere = join(tempDir(), "nothing");
    for (const args of [
      ["lock", nowhere],
      ["build", nowhere, "-o", `${nowhere}.raw`],
      ["plan", nowhere],
      ["test", nowhere],
      ["deploy", nowhere, "192.0.2.1", "--report", `${nowhere}.json`],
      ["secrets", "check", nowhere],
    ])
      expectFail(await cli(args), 1, /no definition at .*nothing/, /imgbuild init/);
    expectFail(await cli(["lock", "/etc"]), 1, /no IMGBUILD\.ts in \/etc/, /imgbuild init/);
  });

  it("is not begun where something lies already", async () => {
    const dir = tempDir();
    writeFileSync(join(dir, "mine"), "");
    expectFail(await cli(["init", dir]), 1, /is not empty: it holds mine/, /does not exist yet/);
    expectFail(await cli(["init", join(dir, "mine")]), 1, /mine is not a directory/, /does not exist yet/);
    expect(readdirSync(dir)).toEqual(["mine"]);
  });
});

describe("a definition that its packages do not fit", () => {
  it("is refused with file and line before anything boots", async () => {
    const dir = tempDir();
    const definition = ownDefinition(dir);
    const source = join(definition, "IMGBUILD.ts");
    const text = readFileSync(source, "utf8");
    const build = async (more: string) => {
      writeFileSync(source, text.replace("export default image({", `export default image({\n  ${more}`));
      return await imgbuild(["build", definition, "--format", "dir", "-o", join(dir, "tree")], {
        env: environment,
        timeoutMs: 600_000,
      });
    };
    expectFail(
      await build('timezone: "Europe/Berln",'),
      1,
      /IMGBUILD\.ts:\d+: timezone: Europe\/Berln (is no time zone|needs the package `tzdata`)/,
      /correct the definition/,
    );
    expectFail(
      await build('patches: [], files: { "/etc/a": { content: "a", owner: "nobody-here" } },'),
      1,
      /IMGBUILD\.ts:\d+: files\["\/etc\/a"\]\.owner: the system has no user nobody-here/,
    );
    writeFileSync(source, text.replace('unitIsActive("nginx.service")', 'unitIsActive("ngimx.service")'));
    const ran = await imgbuild(["build", definition, "--format", "dir", "-o", join(dir, "tree")], {
      env: environment,
      timeoutMs: 600_000,
    });
    expectFail(ran, 1, /IMGBUILD\.ts:\d+: health\[1\]\.unit: the system has no unit ngimx\.service/);
    expect(left(dir).sort()).toEqual(["imgbuild", "secrets"]);
  });
});

describe("a lock", () => {
  it("that is missing, stale or damaged is not used", async () => {
    const dir = tempDir();
    const definition = ownDefinition(dir);
    const file = join(definition, "imgbuild.lock.yaml");
    const source = join(definition, "IMGBUILD.ts");
    const commands = [
      ["build", definition, "-o", join(dir, "x.raw")],
      ["plan", definition],
      ["lock", "--check", definition],
    ];
    const text = readFileSync(source, "utf8");
    writeFileSync(source, text.replace('"nginx",', '"nginx",\n      "vim",'));
    for (const args of commands) expectFail(await cli(args), 1, /is stale/, /imgbuild lock/);
    writeFileSync(file, "version: 1\npackages: [\n");
    for (const args of commands) expectFail(await cli(args), 1, /imgbuild\.lock\.yaml: not YAML/, /anew/);
    rmSync(file);
    for (const args of commands) expectFail(await cli(args), 1, /lock\.yaml does not exist/, /imgbuild lock/);
    expect(left(dir).sort()).toEqual(["imgbuild", "secrets"]);
  });

  it("is not made without an archive, nor from one that Debian did not sign", async () => {
    const dir = tempDir();
    const cache = { IMGBUILD_CACHE: join(dir, "cache") };
    const offline = await run(
      [
        ...["unshare", "--net", "bash", "-c", 'ip link set lo up; exec "$@"', "bash"],
        ...[program, "lock", "--update", ownDefinition(join(dir, "offline"))],
      ],
      { accept: [1, 70], env: { ...environment, ...cache, IMGBUILD_MIRROR: await deadUrl() } },
    );
    expectFail(
      offline,
      1,
      /InRelease cannot be fetched: http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/,
      /MIRROR/,
    );
    const release = await (await signingKey()).sign(releaseText({}));
    const server = await web((_request, response) => response.end(release));
    const definition = ownDefinition(join(dir, "forged"), `${server.url}/debian`);
    const before = readFileSync(join(definition, "imgbuild.lock.yaml"));
    expectFail(
      await cli(["lock", "--update", definition], cache),
      1,
      /no signature by a key of this archive/,
      /./,
    );
    expect(readFileSync(join(definition, "imgbuild.lock.yaml"))).toEqual(before);
    expect(readdirSync(definition).filter((name) => name.startsWith("imgbuild.lock.yaml"))).toEqual([
      "imgbuild.lock.yaml",
    ]);
  });
});

describe("wrong usage", () => {
  it.each<[RegExp, string[]]>([
    [/unknown command 'bild'/, ["bild"]],
    [/unknown option '--bogus'/, ["lock", "imgbuild/web", "--bogus"]],
    [/missing required argument 'DEF'/, ["plan"]],
    [/too many arguments/, ["plan", "imgbuild/web", "host", "more"]],
    [/more: packages are named with --update only/, ["lock", "imgbuild/web", "more"]],
    [/required option '-o, --output <FILE>'/, ["build", "imgbuild/web"]],
    [
      /'iso' is invalid\. Allowed choices are raw, qcow2, vmdk, /,
      ["build", "imgbuild/web", "-o", "x", "--format", "iso"],
    ],
    [/--format raw: the name x\.qcow2 /, ["build", "imgbuild/web", "-o", "x.qcow2", "--format", "raw"]],
    [
      /--compress zstd: .*name it x\.raw\.zst/,
      ["build", "imgbuild/web", "-o", "x.raw", "--compress", "zstd"],
    ],
    [/--size 1MiB: .*too small/, ["build", "imgbuild/web", "-o", "x.raw", "--size", "1MiB"]],
    [/--size 8GiB: tar holds no disk/, ["build", "imgbuild/web", "-o", "x.tar", "--size", "8GiB"]],
    [/--in-vm: tar holds no disks/, ["build", "imgbuild/web", "-o", "x", "--format", "tar", "--in-vm"]],
    [/--dead-man 5: .*60 to 7200/, ["deploy", "imgbuild/web", "192.0.2.1", "--dead-man", "5"]],
    [/--dead-man 1e9/, ["deploy", "imgbuild/web", "192.0.2.1", "--dead-man", "1e9"]],
    [/--slow none: a factor/, ["deploy", "imgbuild/web", "192.0.2.1", "--slow", "none"]],
    [
      /'coreboot' is invalid\. Allowed choices are bios, uefi, both/,
      ["test", "imgbuild/web", "--firmware", "coreboot"],
    ],
  ])("%s exits 2, as an event too", async (message, args) => {
    expectFail(await cli(args), 2, message);
    const told = events(await cli([...args, "--json"]));
    expect(told).toEqual([
      expect.objectContaining({ event: "error", message: expect.stringMatching(message) }),
    ]);
  });
});

describe("a host", () => {
  it("that is unknown, another one, or not there is told with what to do", async () => {
    const home = tempDir();
    const sshd = await startSshd(home);
    const known = join(home, "operator_known");
    const key = join(home, ".ssh/id_ed25519");
    const plan = (port: number) =>
      cli(["plan", "imgbuild/web", `root@127.0.0.1:${port}`, "--known-hosts", known, "--ssh-key", key], {
        HOME: home,
        IMGBUILD_CACHE: cacheRoot(process.env),
      });
    const print = execFileSync("ssh-keygen", ["-lf", join(home, "host_key.pub")], { encoding: "utf8" });
    const fingerprint = print.split(" ")[1]!;
    writeFileSync(known, "");
    const unknown = await plan(sshd.port);
    expectFail(unknown, 1, /the host key of \[127\.0\.0\.1\]:\d+ is not known/, /ssh-keyscan -p \d+ 127/);
    expect(unknown.stderr).toContain(fingerprint);
    expect(readFileSync(known, "utf8")).toBe("");
    const other = readFileSync(join(home, ".ssh/id_ed25519.pub"), "utf8").split(" ").slice(0, 2).join(" ");
    writeFileSync(known, `# mine\n[127.0.0.1]:${sshd.port} ${other}\n`);
    const changed = await plan(sshd.port);
    expectFail(changed, 1, /has changed: .*, another is known at .*operator_known:2/, /ssh-keygen -R/);
    expect(changed.stderr).toContain(fingerprint);
    const began = Date.now();
    const port = Number(new URL(await deadUrl()).port);
    expectFail(await plan(port), 1, /no connection to 127\.0\.0\.1 .*ECONNREFUSED/, /is the machine up/);
    expect(Date.now() - began).toBeLessThan(30_000);
    expectFail(await plan(99_999), 1, /port 99999 of 127\.0\.0\.1 is not a port/, /from 1 to 65535/);
  });
});

describe("secrets", () => {
  it("do not open with no identity, a missing one or somebody else's", async () => {
    const dir = tempDir();
    const other = join(dir, "other.txt");
    writeFileSync(other, `${(await generateIdentity()).identity}\n`);
    const output = join(dir, "web.raw");
    // No identity of this machine's user.
    const env = { XDG_CONFIG_HOME: dir };
    for (const args of [
      ["secrets", "show", "secrets/web-htpasswd.age"],
      ["build", "imgbuild/web", "--with-secrets", "-o", output],
    ]) {
      expectFail(
        await cli(args, env),
        1,
        /no identity was given to open .*web-htpasswd\.age/,
        /--identity FILE/,
      );
      const identity = (file: string) => cli([...args, "--identity", file]);
      expectFail(await identity(other), 1, /no given identity opens .*web-htpasswd\.age/, /--identity/);
      expectFail(
        await identity(join(dir, "none")),
        2,
        /--identity <FILE>' argument '.*none' is invalid. It does/,
      );
      const named = await cli(args, { IMGBUILD_IDENTITY: join(dir, "none") });
      expectFail(named, 1, /identity file .*none cannot be read: it does not exist/, /secrets keygen/);
    }
    expect(left(dir)).toEqual(["other.txt"]);
  });

  it("do not open with the wrong passphrase, which only a terminal is asked for", async () => {
    const dir = tempDir();
    const encrypter = new Encrypter();
    encrypter.setPassphrase("right");
    encrypter.setScryptWorkFactor(10);
    const file = join(dir, "pass.age");
    writeFileSync(file, await encrypter.encrypt("plain text"));
    const args = ["secrets", "show", file, "--passphrase"];
    expectFail(await cli(["secrets", "show", file]), 1, /is encrypted with a passphrase/, /--passphrase/);
    expectFail(await cli(args, {}, "right\n"), 3, /there is no terminal to ask/, /terminal/);
    const [wrong, right] = await Promise.all(["wrong", "right"].map((word) => onTerminal(args, word)));
    expect(wrong).toEqual({
      code: 1,
      shown: expect.stringMatching(/error: the passphrase does not open .*pass\.age\s+hint: .*--passphrase/),
    });
    expect(right).toEqual({ code: 0, shown: expect.stringContaining("plain text") });
    for (const { shown } of [wrong!, right!]) expect(shown).not.toMatch(/wrong|right|^ {4}at /m);
  });
});

describe("an output", () => {
  it("that cannot be written is told before the work", async () => {
    const dir = tempDir();
    writeFileSync(join(dir, "file"), "kept");
    execFileSync("mkfifo", [join(dir, "pipe")]);
    const build = (to: string, ...more: string[]) =>
      cli(["build", "imgbuild/web", "-o", join(dir, to), ...more], { IMGBUILD_CACHE: join(dir, "none") });
    expectFail(await build("file/x.raw"), 1, /file\/x\.raw: .*file is not a directory/, /another path/);
    expectFail(await build("none/x.raw"), 1, /there is no directory .*none$/m, /mkdir -p .*none/);
    expectFail(await cli(["init", join(dir, "none/server")]), 1, /there is no directory/, /mkdir -p/);
    expectFail(await build("."), 1, /is there, and is not a regular file/, /does not exist yet/);
    expectFail(await build("pipe"), 1, /pipe is there, and is not a regular file/, /./);
    expectFail(await build("file", "--format", "dir"), 1, /file is there, and is not a directory/, /./);
    expectFail(await build(".", "--format", "dir"), 1, /is not empty/, /./);
    const report = ["deploy", "imgbuild/web", "192.0.2.1", "--report", join(dir, "file/report.json")];
    expectFail(await cli(report), 1, /the report: .*file is not a directory/, /./);
    const image = join(dir, "x.html");
    expectFail(
      await build("x.html", "--report", join(dir, "x.json")),
      1,
      /x\.html is where the output goes/,
      /./,
    );
    const drills = ["rescue", "--test", "imgbuild/web", "imgbuild/notes"];
    for (const option of ["--report", "--junit"])
      expectFail(await cli([...drills, option, image]), 2, /one definition is accepted; 2 are given/, /./);
    expect(left(dir).sort()).toEqual(["file", "pipe"]);
    expect(readFileSync(join(dir, "file"), "utf8")).toBe("kept");
  });

  it("that is read-only, or a cache that is no directory, is no bug; with --json all of it is events", async () => {
    const dir = tempDir();
    const mount = 'mount -t tmpfs -o ro none "$1"';
    const args = ["build", "imgbuild/web", "-o", join(dir, "web.raw")];
    const plain = await inNamespace(mount, [dir], args);
    expectFail(plain, 1, /web\.raw: .*: the filesystem is read-only \(EROFS\)/, /another place/);
    expect(plain.stdout).toBe("");
    const told = events(await inNamespace(mount, [dir], ["--json", ...args]));
    expect(told.map(({ event }) => event)).toEqual(["error"]);
    expect(told.at(-1)).toMatchObject({
      message: expect.stringMatching(/read-only/),
      hint: expect.any(String),
    });
    const cache = { IMGBUILD_CACHE: join(dir, "file") };
    writeFileSync(join(dir, "file"), "");
    expectFail(await cli(args, cache), 1, /file\/base: a part of the path is not a directory/, /./);
    expect(left(dir)).toEqual(["file"]);
  });

  it("that nobody reads any more ends without a stack", async () => {
    const child = spawn(program, ["plan", "imgbuild/web"], {
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.destroy();
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const [code] = (await once(child, "close")) as [number | null];
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.not.stringMatching(/ {4}at |EPIPE/) });
  });
});

describe("packages", () => {
  it("that were tampered with fail the build and never enter the cache, damaged ones are fetched anew", async () => {
    const dir = tempDir();
    const packages = webPackages();
    const [forged, spoilt] = [packages[0]!, packages[1]!];
    const asked: string[] = [];
    const server = await servingPackages(async (one, bytes) => {
      asked.push(one.name);
      // The other one is there by then.
      if (one.sha256 === forged.sha256) await sleep(1_000);
      if (one.sha256 === forged.sha256) bytes[bytes.length >> 1]! ^= 1;
    });
    const cache = ownCache(dir, [forged, spoilt]);
    const spoiltFile = join(cache, "packages", `${spoilt.sha256}.deb`);
    writeFileSync(spoiltFile, Buffer.alloc(spoilt.size, 1));
    const definition = ownDefinition(dir, server);
    const out = join(dir, "out");
    mkdirSync(out);
    const ran = await cli(["build", definition, "-o", join(out, "web.raw")], { IMGBUILD_CACHE: cache });
    expectFail(ran, 1, new RegExp(`${forged.name}.*cannot be fetched: .*SHA-256 differs`), /mirror/);
    expect(asked).toContain(forged.name);
    expect(left(out)).toEqual([]);
    for (const name of readdirSync(join(cache, "packages"))) {
      expect(name).toMatch(/^[0-9a-f]{64}\.deb$/);
      if (name.startsWith(forged.sha256)) throw new Error("the forged package is in the cache");
    }
    expect(sha256(readFileSync(spoiltFile))).toBe(spoilt.sha256);
  });

  it("that find no room in the cache are told as that, and leave no part of themselves", async () => {
    const dir = tempDir();
    const definition = ownDefinition(dir, await servingPackages(async () => {}));
    const cache = join(dir, "small");
    mkdirSync(cache);
    const ran = await inNamespace(
      'mount -t tmpfs -o size=256k none "$1" && ln -s "$2" "$1/base"',
      [cache, join(cacheRoot(process.env), "base")],
      ["build", definition, "-o", join(dir, "web.raw")],
      { env: { IMGBUILD_CACHE: cache }, after: `find "$IMGBUILD_CACHE" -name '*.part'` },
    );
    expectFail(ran, 1, /fetching pool\/.*: no space is left \(ENOSPC\)/, /IMGBUILD_CACHE/);
    expect(ran.stdout).toBe("");
    expect(left(dir).sort()).toEqual(["imgbuild", "secrets", "small"]);
  });

  it("that find no room beside the output are told as that, and nothing is left there", async () => {
    const dir = tempDir();
    const ran = await inNamespace(
      'mount -t tmpfs -o size=64m none "$1"',
      [dir],
      ["build", "imgbuild/web", "-o", join(dir, "web.raw")],
      { after: `ls -A ${dir}` },
    );
    expectFail(ran, 1, /No space left on device|no space is left/i, /free some/);
    expect(ran.stdout).toBe("");
  });
});

/** A mirror on loopback with the packages of the usual cache, each as `change` leaves it. */
async function servingPackages(
  change: (one: LockedPackage, bytes: Buffer) => Promise<void>,
): Promise<string> {
  const byPath = new Map(webPackages().map((one) => [one.path, one]));
  const server = await web(async (request, response) => {
    const one = byPath.get((request.url ?? "").replace(/^\/debian(-security)?\//, ""));
    response.statusCode = one === undefined ? 404 : 200;
    if (one === undefined) return void response.end();
    const bytes = cachedPackage(one);
    await change(one, bytes);
    response.end(bytes);
  });
  return `${server.url}/debian`;
}

/** imgbuild on a pseudo-terminal, where somebody types `answer` at the question. */
async function onTerminal(args: readonly string[], answer: string): Promise<{ code: number; shown: string }> {
  const command = [program, ...args].join(" ");
  const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    env: { ...environment, NO_COLOR: "1" },
    stdio: ["pipe", "pipe", "ignore"],
  });
  let shown = "";
  let typed = false;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
    if (typed || !shown.includes("Passphrase of the secrets: ")) return;
    typed = true;
    child.stdin.write(`${answer}\r`);
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  return { code: code ?? 128, shown: shown.replaceAll("\r", "") };
}
