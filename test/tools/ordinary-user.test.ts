import { once } from "node:events";
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Encrypter } from "age-encryption";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { run } from "../../src/system/run/run.ts";
import { gateArgv } from "../../src/system/user/user-namespace.ts";
import { environment, expectFail, hidePrograms, left, program } from "../helpers/labs/cli-lab.ts";
import { makeBuilder, makeUser, type Started, start, type TestUser } from "../helpers/labs/ordinary-user.ts";
import { startSshd } from "../helpers/labs/sshd.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const quickMs = 60_000;
const buildMs = 600_000;
const everyCode = Array.from({ length: 256 }, (_, code) => code);

let user: TestUser;
beforeAll(async () => {
  user = await makeBuilder();
});
afterAll(async () => await user.remove());

/** The command line as the user, in the checkout. */
const as = async (
  args: readonly string[],
  options: {
    who?: TestUser;
    prepare?: string;
    env?: Readonly<Record<string, string>>;
    timeoutMs?: number;
  } = {},
) => {
  const { timeoutMs = quickMs, who = user, ...rest } = options;
  const argv = who.argv(["bin/imgbuild", ...args], rest);
  return await run(["nice", "-n", "19", ...argv], { env: environment, accept: everyCode, timeoutMs });
};
const begin = (args: readonly string[]): Started => start(user.argv(["bin/imgbuild", ...args]), buildMs);
const eventsIn = (stdout: string) =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** What is the user's own: nothing of a build but its result may be in here. */
const inHome = () => left(user.home).filter((name) => !name.startsWith(".") && name !== "tmp");
/** Programs of the user that are more than a corpse which nobody has buried. */
function running(): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const [, name, state, uid] = /^Name:\t(.*)$[\s\S]*^State:\t(.)[\s\S]*^Uid:\t(\d+)/m.exec(status) ?? [];
      return Number(uid) === user.uid && state !== "Z" ? [`${pid} ${name}`] : [];
    } catch {
      // No process, or one that has ended while it was looked at.
      return [];
    }
  });
}

describe("a user without subordinate ids", () => {
  it("is told by doctor what is missing, and the command that it is told mends that", async () => {
    const who = await makeUser("without ids");
    onTestFinished(() => who.remove());
    const hint = /^sudo usermod --add-subuids .*\n {2}or build with sudo/;
    expectFail(await as(["doctor"], { who }), 1, /1 thing is missing/, hint);
    const told = eventsIn((await as(["--json", "doctor"], { who })).stdout);
    expect(told).toMatchObject([{ event: "missing", use: "user" }, { event: "error" }]);
    const fix = told[0]!.fix as string[];
    const range = expect.stringMatching(/^\d+-\d+$/);
    expect(fix).toEqual(["usermod", "--add-subuids", range, "--add-subgids", range, who.name]);
    await run(fix);
    expect(await as(["doctor"], { who })).toMatchObject({
      code: 0,
      stdout: "everything is here\n",
      stderr: "",
    });
  });
});

describe("an ordinary user", () => {
  it("reaches hosts by agent and known_hosts of its own, though the base is made on the way there", async () => {
    const { port, agent } = await startLogin();
    const host = `root@127.0.0.1:${port}`;
    const plan = await as(["--json", "plan", "imgbuild/web", host], {
      env: { SSH_AUTH_SOCK: agent },
      timeoutMs: buildMs,
    });
    // This machine is none that could be deployed to, as the preflight finds once it has logged in.
    expectFail(plan, 3, /^error: the preflight says no-go$/m);
    expect(eventsIn(plan.stdout)).toContainEqual(
      expect.objectContaining({ message: expect.stringMatching(/root: logged in as root$/) }),
    );
    // The other process' steps are told as this one's.
    expect(eventsIn(plan.stdout)).toContainEqual(
      expect.objectContaining({ event: "end", task: ["making the base", "packing the base"], ok: true }),
    );
    const bases = readdirSync(user.cache).filter((name) => name.startsWith("base"));
    expect(bases).toEqual([expect.stringMatching(/^base-[0-9a-f]{12}$/)]);
    const places = readdirSync(join(user.cache, bases[0]!)).sort();
    expect(places).toEqual([
      expect.stringMatching(/^[0-9a-f]{32}$/),
      expect.stringMatching(/^known-[0-9a-f]{32}$/),
      expect.stringMatching(/^tree-[0-9a-f]{32}$/),
    ]);
    const [packedBase, known, treeBase] = places as [string, string, string];
    expect(readFileSync(join(user.cache, bases[0]!, known), "utf8")).toBe(treeBase.replace("tree-", ""));
    for (const place of [packedBase, treeBase]) {
      const [base, of] = [join(user.cache, bases[0]!, place), user.uid];
      expect(readdirSync(base).map((name) => lstatSync(join(base, name)).uid)).toEqual(
        readdirSync(base).map(() => of),
      );
    }
    const tree = join(user.cache, bases[0]!, treeBase, "tree");
    expect(statSync(join(tree, "etc/passwd")).uid).toBe(user.uid);
    // shadow's group is 42: the 41st of the subordinate ids, which begin at 1.
    const first = Number(
      readFileSync("/etc/subgid", "utf8").match(new RegExp(`^${user.name}:(\\d+):`, "m"))![1],
    );
    expect(statSync(join(tree, "etc/shadow")).gid).toBe(first + 41);
    const packed = await as(["base", "show"]);
    expect(packed).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(join(bases[0]!, packedBase, "kernel")),
    });
  });

  it("builds the image that root builds, byte for byte, and owns it", async () => {
    const output = join(user.home, "web.raw");
    const ran = await as(["build", "imgbuild/web", "--output", output], { timeoutMs: buildMs });
    expect({ code: ran.code, stdout: ran.stdout }).toEqual({ code: 0, stdout: `${output}\n` });
    const { uid, gid, mode } = statSync(output);
    expect([uid, gid, mode & 0o777]).toEqual([user.uid, user.uid === uid ? gid : -1, 0o644]);
    expect(inHome()).toEqual(["web.raw"]);
    expect(running()).toEqual([]);
    const roots = join(tempDir(), "web.raw");
    await run(["nice", "-n", "19", program, "build", "imgbuild/web", "--output", roots], {
      env: environment,
      timeoutMs: buildMs,
    });
    const digests = (await run(["sha256sum", output, roots])).stdout
      .split("\n")
      .map((line) => line.slice(0, 64));
    expect(digests[0]).toBe(digests[1]);
    rmSync(output);
  });

  it("makes the rescue medium that root makes, byte for byte", async () => {
    const rescue = ["rescue", "imgbuild/layouts/bios-gpt", "--output"];
    const output = join(user.home, "medium.iso");
    expect(await as([...rescue, output], { timeoutMs: buildMs })).toMatchObject({ code: 0 });
    const roots = join(tempDir(), "medium.iso");
    await run([program, ...rescue, roots], { env: environment, timeoutMs: buildMs });
    const digests = (await run(["sha256sum", output, roots])).stdout
      .split("\n")
      .map((line) => line.slice(0, 64));
    expect(digests[0]).toBe(digests[1]);
    rmSync(output);
  });

  it("packs the tree of a deploy that root packs, byte for byte", async () => {
    const argv = [
      "node",
      "--import",
      "tsx",
      "test/helpers/labs/pack-program.ts",
      "imgbuild/layouts/bios-gpt",
    ];
    const how = { env: environment, timeoutMs: buildMs };
    const env = { TSX_DISABLE_CACHE: "1" };
    const own = (await run(["nice", "-n", "19", ...user.argv(argv, { env })], how)).stdout;
    expect(own).toMatch(/^[0-9a-f]{64}\n$/);
    expect(own).toBe((await run(["nice", "-n", "19", ...argv], how)).stdout);
  });

  it("gets exit codes, events and errors as root does, each once", async () => {
    const output = join(user.home, "x.raw");
    const nowhere = await as(["--json", "build", "nowhere", "--output", output]);
    expectFail(nowhere, 1, /^error: no definition at nowhere\n {2}hint: .*\n$/);
    expect(eventsIn(nowhere.stdout)).toMatchObject([{ event: "error", message: "no definition at nowhere" }]);
    const format = await as(["build", "imgbuild/web", "--output", output, "--format", "x"]);
    expectFail(format, 2, /^error: .*'x' is invalid\. Allowed choices are raw, /);
    expect(inHome()).toEqual([]);
  });

  it("answers questions at the terminal", async () => {
    const definition = join(user.home, "own");
    mkdirSync(definition);
    const encrypter = new Encrypter();
    encrypter.setScryptWorkFactor(10);
    encrypter.setPassphrase("right");
    writeFileSync(join(definition, "secret.age"), await encrypter.encrypt("x"));
    const text = readFileSync("imgbuild/web/IMGBUILD.ts", "utf8");
    const own = text
      .replace("../../secrets/web-htpasswd.age", "secret.age")
      .replace("../../secrets/", join(process.cwd(), "secrets/"));
    writeFileSync(join(definition, "IMGBUILD.ts"), own.replaceAll(process.cwd(), join(user.dir, "checkout")));
    writeFileSync(
      join(definition, "imgbuild.lock.yaml"),
      readFileSync("imgbuild/web/imgbuild.lock.yaml", "utf8"),
    );
    const command = `bin/imgbuild build ${definition} --with-secrets --passphrase --output ${user.home}/x.raw`;
    const terminal = start(
      user.argv(["script", "--quiet", "--return", "--command", command, "/dev/null"]),
      quickMs,
    );
    await terminal.until("Passphrase of the secrets: ", quickMs);
    terminal.child.stdin!.write("wrong\r");
    const { code, stdout } = await terminal.ended;
    expect({ code, stdout }).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/error:.* .*passphrase/),
    });
    expect(stdout).not.toContain("wrong");
    rmSync(definition, { recursive: true });
    expect(inHome()).toEqual([]);
  });
});

/** A server on this machine that knows the user's key, which is held by an agent alone. */
async function startLogin(): Promise<{ port: number; agent: string }> {
  const server = tempDir();
  const { port } = await startSshd(server);
  const [ssh, agent] = [join(user.home, ".ssh"), join(user.home, "tmp/agent")];
  cpSync(join(server, ".ssh"), ssh, { recursive: true });
  await run(["chown", "--recursive", `${user.uid}`, ssh]);
  const running = start(user.argv(["ssh-agent", "-D", "-a", agent]), buildMs);
  onTestFinished(async () => {
    running.child.kill();
    await running.ended;
  });
  await running.until("SSH_AUTH_SOCK", quickMs);
  await run(user.argv(["ssh-add", "-q", join(ssh, "id_ed25519")], { env: { SSH_AUTH_SOCK: agent } }));
  rmSync(join(ssh, "id_ed25519"));
  return { port, agent };
}

describe("a build without root", () => {
  const installing = "placing ";
  const build = () => ["build", "imgbuild/web", "--output", join(user.home, "x.raw")];
  // What an earlier build has left in the cache would spare the work that is interrupted here.
  beforeEach(() => {
    const cache = join(user.home, ".cache/imgbuild");
    for (const name of readdirSync(cache).filter((one) => one.startsWith("tree-")))
      rmSync(join(cache, name), { recursive: true });
  });

  it("ends by Ctrl-C at the terminal, and leaves nothing", async () => {
    const command = `bin/imgbuild ${build().join(" ")}`;
    const terminal = start(
      user.argv(["script", "--quiet", "--return", "--command", command, "/dev/null"]),
      buildMs,
    );
    await terminal.until(installing, buildMs);
    await sleep(1_000);
    terminal.child.stdin!.write("\x03");
    const { code, stdout } = await terminal.ended;
    expect({ code, stdout }).toMatchObject({
      code: 130,
      stdout: expect.stringMatching(/error:.* .*interrupted\r?\n/),
    });
    expect(stdout.match(/error:/g)).toHaveLength(1);
    expect([inHome(), running()]).toEqual([[], []]);
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("ends by %s to the command alone", async (signal) => {
    const ran = begin(build());
    await ran.until(installing, buildMs);
    ran.child.kill(signal);
    const { code, stdout, stderr } = await ran.ended;
    expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
    expect(stderr.match(/^error: .*interrupted$/gm)).toHaveLength(1);
    expect([inHome(), running()]).toEqual([[], []]);
  });

  it("clears up behind itself even when the command is killed", async () => {
    const ran = begin(build());
    await ran.until(installing, buildMs);
    ran.child.kill("SIGKILL");
    await ran.ended;
    for (let tries = 0; tries < 100 && running().length > 0; tries += 1) await sleep(100);
    expect([inHome(), running()]).toEqual([[], []]);
  });

  it.each<[string, string, RegExp, RegExp]>([
    [
      "newuidmap is not installed",
      `set -- /usr/bin/newuidmap "$@"; ${hidePrograms}\nshift`,
      /\n {4}newuidmap and newgidmap are missing \(package uidmap\)\n/,
      /^sudo apt-get install --yes uidmap\n {2}or run the same command with sudo\n$/,
    ],
    [
      "a container hides parts of /proc",
      "mount --bind /dev/null /proc/version",
      /\n {4}parts of \/proc are hidden, as in a container/,
      /^run the same command with sudo\n$/,
    ],
    [
      "the cache is root's",
      `mount -t tmpfs -o mode=755 tmpfs "$dir/home/.cache/imgbuild"`,
      /\.cache\/imgbuild cannot be written by this user \(EACCES\); did root make it\?/,
      /^sudo chown \d+:\d+ .*\.cache\/imgbuild, or name another place by IMGBUILD_CACHE\n$/,
    ],
    [
      "the packages of the cache are root's",
      `mount -t tmpfs -o mode=755 tmpfs "$dir/home/.cache/imgbuild/packages"`,
      /imgbuild\/packages cannot be written by this user/,
      /^sudo chown --recursive /,
    ],
  ])("is refused at once where %s", async (_what, prepare, message, hint) => {
    expectFail(await as(build(), { prepare }), 1, message, hint);
    expect([inHome(), running()]).toEqual([[], []]);
  });

  it("is refused at once where setuid programs gain nothing", async () => {
    const argv = user.argv(["setpriv", "--no-new-privs", "bin/imgbuild", ...build()]);
    const ran = await run(argv, { env: environment, accept: everyCode, timeoutMs: quickMs });
    expectFail(
      ran,
      1,
      /\n {4}newuidmap gains no rights here: .*no_new_privs/,
      /^run the same command with sudo\n$/,
    );
  });

  it("is refused at once where the kernel gives no user namespaces", async () => {
    // The limit is each namespace's own, so it is lowered in one that has this machine's ids as they are.
    const limit = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"';
    const inner = user.argv(["bin/imgbuild", ...build()], { flags: "" });
    const waiting = start(gateArgv(["sh", "-c", limit, "sh", ...inner]), quickMs, 1);
    const line = waiting.child.stdio[3] as Socket;
    await once(line, "data");
    for (const map of ["uid_map", "gid_map"])
      writeFileSync(`/proc/${waiting.child.pid}/${map}`, "0 0 4294967295\n");
    line.end("\n");
    expectFail(
      await waiting.ended,
      1,
      /\n {4}the kernel gives no user namespaces \(user\.max_user_namespaces=0\)\n/,
      /^sudo sysctl -w user\.max_user_namespaces=10000\n {2}or run the same command with sudo\n$/,
    );
  });
});

describe("the cache of an ordinary user", () => {
  it("takes a packed base that root has put there, for that has no owners inside", async () => {
    const shared = join(user.home, "shared");
    mkdirSync(join(shared, "base"), { recursive: true });
    chownSync(shared, user.uid, user.uid);
    const show = (await as(["--json", "base", "show"])).stdout;
    const { digest } = eventsIn(show).at(-1)! as { digest: string };
    const mine = readdirSync(user.cache).find((name) => name.startsWith("base-"))!;
    await run(["cp", "--recursive", join(user.cache, mine, digest), join(shared, "base")]);
    const elsewhere = await as(["base", "show"], { env: { IMGBUILD_CACHE: shared } });
    expect(elsewhere).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(join(shared, "base", digest)),
    });
    expect(readdirSync(shared)).toEqual(["base"]);
    rmSync(shared, { recursive: true });
  });

  it("is deleted by the user alone", async () => {
    const removed = await as(["base", "remove"]);
    expect(removed).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringMatching(/^removed .*\/base-[0-9a-f]{12}\n$/),
    });
    expect(left(user.cache)).toEqual(["index", "packages", "packed"]);
    await run(user.argv(["rm", "-r", user.cache]), { env: environment });
    expect(existsSync(user.cache)).toBe(false);
  });
});
