import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it, onTestFinished } from "vitest";
import { deploy } from "../../../../src/operator/deploy/deploy.ts";
import type { ConnectOptions, DeployInputs, DeployWorld } from "../../../../src/operator/deploy/world.ts";
import type { PlanView } from "../../../../src/operator/plan/planned.ts";
import { Report } from "../../../../src/schema/report.ts";
import { Spec } from "../../../../src/schema/spec.ts";
import { openWith } from "../../../../src/secrets/seal.ts";
import { markPath } from "../../../../src/steps/tree/finish-tree.ts";
import { Journal } from "../../../../src/target/journal.ts";
import { Runner } from "../../../../src/target/runner.ts";
import { serve } from "../../../../src/target/socket.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { generateSshKey } from "../../../../src/transport/keys.ts";
import { exitCodes, Fail } from "../../../../src/util/fail.ts";
import { type Log, silentLog } from "../../../../src/util/log.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { adminKey, inputsOfDeploy, serverSpec } from "../../../helpers/builders/deployable.ts";
import { generateIdentity } from "../../../helpers/builders/identity.ts";
import { baseReport } from "../../../helpers/fakes/base-report.ts";
import { noDeadMan } from "../../../helpers/fakes/dead-man.ts";
import { type FakeSystem, fakeSystem } from "../../../helpers/fakes/fake-system.ts";
import { probeOutput } from "../../../helpers/fakes/probe-output.ts";
import { digitalOcean } from "../../../helpers/fakes/probed-disks.ts";
import { scriptName } from "../../../helpers/fakes/script-name.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const oldKey = generateSshKey("old");
/** The operator's, and one of somebody else who may log in to the old system. */
const operatorKey = `ssh-ed25519 ${Buffer.from("what the operator logs in with").toString("base64")}`;
const colleagueKey = `ssh-ed25519 ${Buffer.from("what a colleague logs in with").toString("base64")}`;
const oldBoot = "11111111-2222-4333-8444-555555555555";
/** As it may be found again: as it is, in base64 at any offset, hexadecimal, percent-encoded, UTF-16, reversed. */
function formsOf(plain: string): (string | Buffer)[] {
  const bytes = Buffer.from(plain);
  const base64 = [0, 1, 2].map((at) =>
    Buffer.concat([Buffer.alloc(at), bytes])
      .toString("base64")
      .slice(4, -4),
  );
  const percent = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
  return [
    plain,
    ...base64,
    bytes.toString("hex"),
    percent,
    Buffer.from(plain, "utf16le"),
    [...plain].reverse().join(""),
  ];
}

const never = () => Promise.reject(new Error("not used"));
const ok = (stdout = "") => ({ code: 0, stdout, stderr: "" });

interface Story {
  /** Sections of the probe that differ from those of a good machine. */
  probe?: Record<string, string>;
  /** The script that the old system cannot run. */
  fails?: string;
  confirm?: (view: PlanView) => Promise<void>;
  /** The old system's address and port that the operator is connected to. */
  reachedBy?: string;
  reachedAt?: number;
  /** The connection is lost while the old system is told to jump. */
  breaks?: boolean;
  /** What its file of a host key holds. */
  hostKey?: string;
  /** Another deploy has the host already. */
  held?: boolean;
  /** What the program says that makes a tree on the old system, and how it ends. */
  makesTree?: { says: object[]; fails?: Fail };
  /** What answers after the jump; "stays" is the old system in the same boot. */
  after?: "base" | "old" | "stays";
  /** What the runner in the base says of itself instead of the truth. */
  base?: { nonce?: string; planDigest?: string; refusal?: Fail };
  /** The runner's work; without it, it succeeds. */
  work?: (ponr: () => void, cut: () => void, powerCut: () => Promise<void>) => Promise<void>;
  /** What the new system says of itself. */
  mark?: (nonce: string) => string;
  health?: number;
  /** What it has been brought to. */
  system?: FakeSystem;
}

function payloadOf({ base }: Story, planDigest: string, lost: Fail | undefined) {
  const refusal = lost ?? base?.refusal;
  return refusal === undefined ? { planDigest: base?.planDigest ?? planDigest } : { refusal };
}

/** The machine in its three lives. The runner in its base is the real one, behind a real socket. */
async function machine(story: Story = {}) {
  const notes: string[] = [];
  const secrets: string[] = [];
  const socket = join(tempDir(), "runner.sock");
  let life: "old" | "base" | "new" | "old again" = "old";
  let nonce = "";
  const { identity, recipient } = await generateIdentity();
  const streams: { destroy(): void }[] = [];
  const drop = { next: false };
  let closed = false;

  const boot = async (planDigest: string, lost?: Fail) => {
    const cut = () => {
      for (const one of streams) one.destroy();
    };
    const powerCut = async () => {
      cut();
      await boot(planDigest, new Fail("the machine lost power"));
    };
    const runner: Runner = new Runner({
      rescued: lost !== undefined,
      journal: new Journal(join(tempDir(), "journal"), () => 1),
      log: silentLog,
      nonce: story.base?.nonce ?? nonce,
      bootId: "base-boot",
      recipient,
      goFile: join(tempDir(), "go"),
      now: () => performance.now(),
      forget: () => {},
      payload: payloadOf(story, planDigest, lost),
      replace: async () => {
        notes.push("replace");
        return planDigest;
      },
      work: async (sealed, ponr) => {
        secrets.push(Buffer.from(await openWith(identity, Buffer.from(sealed[0]!, "base64"))).toString());
        if (story.work !== undefined) await story.work(ponr, cut, powerCut);
        else ponr();
      },
      ...noDeadMan,
      report: (...told) => ({
        ...baseReport(...told),
        bootId: "base-boot",
        peakMemoryMib: 321,
        totalMemoryMib: 1000,
        fetched: { packages: 4, bytes: 4000 },
      }),
      restart: () => {
        notes.push("restart");
        life = "new";
        return new Promise<never>(() => {});
      },
      later: (_ms, what) => {
        // A runner that failed before any write returns to the old system by itself.
        if (notes.includes("fails early")) {
          life = "old again";
          notes.push("returns");
        } else void what;
      },
    });
    const server = await serve(socket, runner);
    onTestFinished(() => void server.close());
  };

  const leaked: Buffer[] = [];
  const trees: unknown[] = [];
  const closes: string[] = [];
  const told = (text: string) => void leaked.push(Buffer.from(text));
  const listening: Log = {
    task: async (doing, work) => {
      told(doing);
      return await work(listening);
    },
    info: told,
    warn: told,
    progress: () => {},
  };
  const old: Host = {
    name: "old",
    openedBy: operatorKey,
    exec: async (argv, options = {}) => {
      leaked.push(Buffer.from(JSON.stringify(argv)), Buffer.from(options.stdin ?? ""));
      const script = scriptName(argv);
      if (argv[1] === "-s")
        return ok(
          probeOutput(argv[2]!, {
            "host-keys": `${oldKey.public} root@old\nssh-rsa AAAArsa`,
            ...story.probe,
          }),
        );
      if (story.fails !== undefined && script === story.fails) throw new Fail(`${story.fails} failed`);
      if (script === "list-keys") return ok(`${operatorKey} me\n${colleagueKey} a colleague\n`);
      if (script === "reached-at")
        return ok(`192.0.2.1 1 ${story.reachedBy ?? "192.0.2.10"} ${story.reachedAt ?? 22}\n`);
      if (script === "list-host-keys")
        return ok("/etc/ssh/ssh_host_dsa_key\n/etc/ssh/ssh_host_ed25519_key\n");
      if (argv[0] === "cat")
        return ok(argv.includes("--") ? (story.hostKey ?? oldKey.private) : `${oldBoot}\n`);
      if (script === "claim" && story.held) return { code: 75, stdout: "4711\n", stderr: "" };
      if (script === "undo") notes.push("undo");
      if (script === "make-tree") {
        notes.push("make tree");
        for (const line of story.makesTree?.says ?? []) options.onLine?.(JSON.stringify(line));
        if (story.makesTree?.fails !== undefined) throw story.makesTree.fails;
      }
      if (script === "stage") notes.push("load");
      if (script === "jump") {
        notes.push("jump");
        if (story.after !== "stays") life = story.after === "old" ? "old again" : "base";
        if (story.breaks) {
          closed = true;
          throw new Fail("the connection to old was lost");
        }
      }
      expect(options.timeoutMs, "every wait is bounded").toBeGreaterThan(0);
      return ok();
    },
    upload: async (source, path, { size, start }) => {
      if (path.endsWith("/tree")) trees.push({ source, size, start });
      if (typeof source !== "string") leaked.push(Buffer.from(source), ...payloadIn(Buffer.from(source)));
      notes.push(`upload ${path.split("/").at(-1)}`);
    },
    becomeRoot: async () => "none",
    openStreamLocal: never,
    forwardTcp: never,
    get closed() {
      return closed;
    },
    close: () => void closes.push("old"),
  };
  const base: Host = {
    ...old,
    name: "base",
    close: () => void closes.push("base"),
    exec: never,
    openStreamLocal: async (path) => {
      expect(path).toBe("/run/imgbuild/runner.sock");
      const stream = connect(socket);
      await once(stream, "connect");
      streams.push(stream);
      const write = stream.write.bind(stream);
      // What is said into a connection that is lost does not arrive.
      stream.write = ((text: string) => {
        if (!drop.next || !text.includes('"go"')) return write(text);
        drop.next = false;
        stream.destroy();
        return true;
      }) as typeof stream.write;
      return stream;
    },
  };
  const { shell: system } = fakeSystem({
    answers: { "systemctl is-active": { code: story.health ?? 0, stdout: "inactive\n" } },
    ...story.system,
  });
  const fresh: Host = {
    ...old,
    name: "new",
    close: () => void closes.push("new"),
    exec: async (argv) => {
      if (argv.includes(markPath)) return ok((story.mark ?? ((one) => `{"nonce":"${one}"}`))(nonce));
      if (argv[0] === "cat") return ok('new-boot\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n');
      return await system.run(argv);
    },
  };
  const rebooted: Host = {
    ...old,
    exec: async (argv) => {
      if (argv[0] === "sh" && scriptName(argv) === "undo") notes.push("undo");
      return ok("another-boot\n");
    },
  };

  const connects: ConnectOptions[] = [];
  const stop = new AbortController();
  const world: DeployWorld = {
    log: listening,
    signal: stop.signal,
    now: Date.now,
    connect: async (options) => {
      connects.push(options);
      const forBase = options.key !== undefined;
      if (life === "old" && !forBase) return old;
      if (life === "base" && forBase) return base;
      if (life === "new" && !forBase) return fresh;
      if (life === "old again" && !forBase) return rebooted;
      throw new Fail("no route to host");
    },
    publicKeys: async () => [adminKey],
    mirrorsIn: () => [],
    confirm: async (view) => {
      notes.push(`confirm ${view.disks.map(({ name, action }) => `${name} ${action}`).join(", ")}`);
      await story.confirm?.(view);
    },
    record: async (known) => {
      notes.push("record");
      told(JSON.stringify(known));
      nonce = known.nonce;
      await boot(known.planDigest);
    },
    password: undefined,
  };
  const setLife = (next: typeof life) => {
    life = next;
  };
  return { world, notes, secrets, connects, stop, setLife, drop, leaked, closes, trees };
}

/** What the payload in a part of the initramfs unpacks to. */
function payloadIn(bytes: Buffer): Buffer[] {
  const payload = memberOf(bytes, "imgbuild/payload.tar.gz");
  return payload.length === 0 ? [] : [gunzipSync(payload)];
}

/** A file in a part of the initramfs; nothing where it is not there. */
function memberOf(bytes: Buffer, member: string): Buffer {
  const name = bytes.indexOf(`${member}\0`);
  if (name < 0) return Buffer.alloc(0);
  // The header of a cpio member: 110 characters, the size in eight hexadecimal ones from the 55th on.
  const size = Number.parseInt(bytes.toString("latin1", name - 110 + 54, name - 110 + 62), 16);
  const start = name - 110 + 4 * Math.ceil((110 + member.length + 1) / 4);
  return bytes.subarray(start, start + size);
}

describe("deploy", () => {
  it("makes the tree before anybody is asked, and leaves the host alone where that fails", async () => {
    const { world, notes } = await machine();
    const trees: DeployWorld["trees"] = {
      problem: async () => undefined,
      find: async () => undefined,
      make: async () => {
        notes.push("make");
        throw new Fail("a script failed");
      },
    };
    const report = await deploy(inputsOfDeploy(), { ...world, trees });
    expect(report).toMatchObject({ outcome: "old-system", message: "a script failed" });
    expect(notes).toEqual(["make"]);
    const huge = { path: "/c/tree.cpio", size: 2 ** 32, sha256: "0".repeat(64) };
    const tree = { size: 1, sha256: "0".repeat(64), contentBytes: 1 };
    const refused = await deploy(inputsOfDeploy(), {
      ...{ ...world, trees: { ...trees, make: async () => ({ archive: huge, start: 124, tree }) } },
    });
    expect(refused).toMatchObject({ outcome: "refused", hint: "deploy with --build-on target" });
    expect(refused.message).toMatch(/^the tree is too large for the host's RAM: .*2 × tree 4096/);
    expect(notes).toEqual(["make"]);
  });

  describe("with a tree that the old system makes", () => {
    const trees: DeployWorld["trees"] = {
      problem: async () => "making a tree needs root",
      find: async () => undefined,
      make: () => Promise.reject(new Error("nothing is made here")),
    };
    const tree = { size: 2_000, sha256: "a".repeat(64), contentBytes: 9_000 };
    const made = { type: "made", tree, archiveBytes: 2_560, fetched: { packages: 7, bytes: 700 } };
    const asked = (more: Partial<DeployInputs> = {}) => inputsOfDeploy({ buildOn: "host", ...more });

    it("has it made after the yes and before the base is loaded, and signs for what came of it", async () => {
      const { world, notes, trees: sent, leaked } = await machine({ makesTree: { says: [made] } });
      const report = Report.parse(await deploy(asked(), { ...world, trees }));
      expect(report).toMatchObject({ outcome: "done", fetched: { packages: 11, bytes: 4_700 } });
      expect(report.bytes).not.toHaveProperty("tree");
      expect(sent).toEqual([]);
      const order = ["confirm system written, data kept", "make tree", "load", "record", "jump", "restart"];
      expect(notes.filter((note) => !note.startsWith("upload"))).toEqual(order);
      expect(leaked.some((bytes) => bytes.includes(`"sha256":"${tree.sha256}"`))).toBe(true);
    });

    it("leaves the old system as it was where that fails, with the reason and the other ways", async () => {
      const failed = { type: "failed", message: "script look exited 3" };
      const fails = new Fail("sh on old exited 1");
      const { world, notes } = await machine({ makesTree: { says: [failed], fails } });
      const report = await deploy(asked(), { ...world, trees });
      expect(report).toMatchObject({
        outcome: "old-system",
        message: "the tree could not be made on the old system: script look exited 3",
        hint: "deploy with --build-on local or --build-on target; nothing was changed",
      });
      expect(notes.at(-1)).toBe("undo");
      expect(notes).not.toContain("load");
    });

    it("starts no base with a tree that has become too large for the host's RAM", async () => {
      const large = { ...made, archiveBytes: 2 ** 31 };
      const { world, notes } = await machine({ makesTree: { says: [large] } });
      const report = await deploy(asked(), { ...world, trees });
      expect(report).toMatchObject({ outcome: "old-system" });
      expect(report.message).toMatch(/^the tree is too large for the host's RAM: .*2 × tree 2048/);
      expect(notes.at(-1)).toBe("undo");
      expect(notes).not.toContain("load");
    });

    it("says after a power cut how the system is built all the same, as only the host had the tree", async () => {
      const { world } = await machine({
        makesTree: { says: [made] },
        work: async (ponr, _cut, powerCut) => {
          ponr();
          await powerCut();
          await new Promise(() => {});
        },
      });
      const report = await deploy(asked(), { ...world, trees });
      expect(report).toMatchObject({
        outcome: "failed",
        message: "the tree, which the old system had made, was in memory alone",
        hint: expect.stringContaining("imgbuild resume admin@web --with DEF"),
      });
    });
  });

  it("takes a host over, builds, and is done when the new system has proved itself", async () => {
    const { world, notes, secrets, connects } = await machine();
    const report = Report.parse(await deploy(inputsOfDeploy(), world));
    expect(report).toMatchObject({
      outcome: "done",
      host: "admin@web",
      hostname: "web.example.org",
      fetched: { packages: 4, bytes: 4000, mirror: "http://deb.example.org/debian" },
      peakMemoryMib: 321,
      bootIds: { old: oldBoot, base: "base-boot", new: "new-boot" },
      os: { old: "Debian GNU/Linux 12 (bookworm)", new: "Debian GNU/Linux 13 (trixie)" },
      disks: [
        { name: "system", action: "written", after: expect.arrayContaining([expect.anything()]) },
        { name: "data", action: "kept" },
      ],
      packages: { count: inputsOfDeploy().lock.packages.length },
    });
    expect(report.health.map(({ check, ok }) => [check, ok])).toEqual([
      ["no unit has failed", true],
      ["every filesystem is mounted", true],
      ["dpkg has nothing to complain of", true],
      ["the packages' files are as they were packed", true],
      ["the machine has an identity of its own", true],
      ["unit nginx.service", true],
    ]);
    expect(report.seconds.phases.map(({ phase }) => phase)).toEqual([
      "inspect",
      "confirm",
      "ship",
      "takeover",
      "build",
      "verify",
    ]);
    const { total, downtime, phases } = report.seconds;
    // Seconds, and of this test.
    expect(downtime).toBeGreaterThan(0);
    expect(total).toBeGreaterThan(downtime!);
    expect(total).toBeLessThan(60);
    const inPhases = phases.reduce((sum, { seconds }) => sum + seconds, 0);
    expect(inPhases).toBeGreaterThan(downtime! / 2);
    expect(inPhases).toBeLessThan(total + 0.01);
    // Four files, and the program that looks whether the host's cache has them.
    expect(report.bytes.base).toBe(5000);
    expect(notes.filter((note) => !note.startsWith("upload"))).toEqual([
      "confirm system written, data kept",
      "load",
      "record",
      "jump",
      "restart",
    ]);
    expect(JSON.parse(secrets[0]!)).toEqual({
      token: Buffer.from("s3cret").toString("base64"),
      "hostkey:ssh_host_ed25519_key": Buffer.from(oldKey.private).toString("base64"),
    });
    // The base by its own new key, the new system by the old one's.
    const toBase = connects.filter(({ key }) => key !== undefined);
    expect(toBase.every(({ pins, user }) => user === "root" && pins?.length === 1)).toBe(true);
    expect(connects.at(-1)).toMatchObject({
      pins: [oldKey.public, "ssh-rsa AAAArsa"],
      user: "admin",
    });
  });

  it.each<[string, Story]>([
    ["is done", {}],
    ["fails before the first write", { work: () => Promise.reject(new Fail("no such disk")) }],
    [
      "fails behind it",
      {
        work: async (ponr) => {
          ponr();
          throw new Fail("no such unit");
        },
      },
    ],
    ["is not healthy", { health: 3 }],
    ["cannot jump", { fails: "jump" }],
  ])(
    "tells no secret to the old system, the log, the record or the report of a deploy that %s (F26)",
    async (_what, story) => {
      const { world, leaked } = await machine(story);
      const canary = "canary-8f14e45fceea167a5a36dedd4bea2543";
      const secrets = new Map([["token", new Secret("token", Buffer.from(canary))]]);
      const hurried = inputsOfDeploy({
        secrets,
        deadManSeconds: 0,
        waitMs: { base: 3_000, build: 5_000, boot: 100 },
      });
      const report = await deploy(hurried, world);
      leaked.push(Buffer.from(JSON.stringify(report)));
      // The payload is among what was looked at, and names the secret.
      expect(leaked.some((bytes) => bytes.includes('"token"'))).toBe(true);
      const key = oldKey.private.split("\n")[3]!;
      for (const plain of [canary, key])
        for (const form of formsOf(plain)) expect(leaked.some((bytes) => bytes.includes(form))).toBe(false);
    },
  );

  it("opens the base by the operator's key and the administrators', and by others of the old login only where asked to", async () => {
    for (const keepAccess of [false, true]) {
      const { world, leaked } = await machine();
      expect(await deploy(inputsOfDeploy({ keepAccess }), world)).toMatchObject({ outcome: "done" });
      const sent = leaked.map((bytes) => memberOf(bytes, "imgbuild/ssh/authorized_keys")).join("");
      const keys = sent.split("\n").map((line) => line.split(" ").slice(0, 2).join(" "));
      expect(keys.slice(1, -1)).toEqual([operatorKey, ...(keepAccess ? [colleagueKey] : []), adminKey]);
    }
  });

  it("refuses what preflight refuses, and touches nothing", async () => {
    const { world, notes } = await machine({ probe: { "kexec-disabled": "1" } });
    const report = Report.parse(await deploy(inputsOfDeploy(), world));
    expect(report).toMatchObject({
      outcome: "refused",
      hint: expect.stringContaining("/etc/sysctl.d"),
      bytes: { base: 0, payload: 0 },
      seconds: { downtime: null },
    });
    expect(report.preflight.filter(({ verdict }) => verdict === "no-go").map(({ check }) => check)).toEqual([
      "takeover",
    ]);
    expect(notes).toEqual([]);
  });

  it("F32: goes by the port of a droplet's disk, which has nothing else, and warns where that means no one host", async () => {
    const { storage, ...rest } = serverSpec();
    const { system } = storage!.disks;
    const match = { path: "pci-0000:00:06.0", minSize: "25600MiB" };
    const on = (more: object) =>
      Spec.parse({ ...rest, ...more, storage: { disks: { system: { ...system, match } } } });
    const line = 'host: { dmiUuid: "4c4c4544-0042-3510-8051-b6c04f4e3233" }';
    const views: PlanView["bound"][] = [];
    for (const more of [{}, { host: { dmiUuid: "4C4C4544-0042-3510-8051-B6C04F4E3233" } }]) {
      const confirm = async (view: PlanView) => void views.push(view.bound);
      const { world } = await machine({ probe: digitalOcean, confirm });
      const report = await deploy(inputsOfDeploy({ spec: on(more) }), world);
      expect(report).toMatchObject({
        outcome: "done",
        disks: [{ name: "system", serial: null, path: match.path, tableUuid: expect.any(String) }],
      });
      expect(report.preflight.find(({ check }) => check === "host")?.verdict).toBe(
        "host" in more ? "go" : "warn",
      );
    }
    expect(views).toEqual([{ line }, { line, by: expect.stringMatching(/^its DMI UUID 4c4c/) }]);
  });

  it("F33: refuses a host that is not the one the definition is for, before anything", async () => {
    const { world, notes } = await machine();
    const host = { dmiUuid: "4c4c4544-0042-3510-8051-b6c04f4e3299" };
    const report = await deploy(inputsOfDeploy({ spec: serverSpec({ host }) }), world);
    expect(report).toMatchObject({
      outcome: "refused",
      hint: expect.stringMatching(/the host that it is for/),
    });
    expect(report.preflight.find(({ check }) => check === "host")?.detail).toBe(
      `the definition is for the host with the DMI UUID ${host.dmiUuid}; this one has 4c4c4544-0042-3510-8051-b6c04f4e3233`,
    );
    expect(notes).toEqual([]);
  });

  it("refuses a host that is reached by an address which the base cannot set up", async () => {
    const { world, notes } = await machine({ reachedBy: "100.64.0.7" });
    const report = await deploy(inputsOfDeploy(), world);
    expect(report.outcome).toBe("refused");
    expect(report.preflight.find(({ check }) => check === "network")).toMatchObject({
      verdict: "no-go",
      detail: expect.stringContaining("100.64.0.7"),
    });
    expect(notes).toEqual([]);
  });

  it("refuses a host that is reached at a port on which the new system will not listen", async () => {
    const { world, notes } = await machine({ reachedAt: 2200 });
    const report = await deploy(inputsOfDeploy(), world);
    expect(report.outcome).toBe("refused");
    expect(report.preflight.filter(({ verdict }) => verdict === "no-go")).toEqual([
      expect.objectContaining({ check: "ssh server", detail: expect.stringContaining("at port 2200") }),
    ]);
    expect(notes).toEqual([]);
  });

  it("opens the secrets after every refusal that needs none, and before anybody confirms", async () => {
    const opening = (notes: string[]) => ({
      openSecrets: async () => {
        notes.push("open");
        return new Map();
      },
    });
    const refused = await machine({ probe: { "kexec-disabled": "1" } });
    await deploy(inputsOfDeploy(opening(refused.notes)), refused.world);
    expect(refused.notes).toEqual([]);
    const shut = await machine();
    const openSecrets = () => Promise.reject(new Fail("no given identity opens token.age"));
    const report = await deploy(inputsOfDeploy({ openSecrets }), shut.world);
    expect(report).toMatchObject({ outcome: "old-system", message: "no given identity opens token.age" });
    expect(shut.notes).toEqual([]);
    const good = await machine();
    await deploy(inputsOfDeploy(opening(good.notes)), good.world);
    expect(good.notes.slice(0, 2)).toEqual(["open", "confirm system written, data kept"]);
  });

  it("refuses when nobody confirms", async () => {
    const refusal = new Fail("not confirmed", { exitCode: exitCodes.refused });
    const { world, notes } = await machine({ confirm: () => Promise.reject(refusal) });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({
      outcome: "refused",
      message: "not confirmed",
    });
    expect(notes).toEqual(["confirm system written, data kept"]);
  });

  it("refuses to go on with host keys that the new system could not use", async () => {
    const { world, notes } = await machine({ hostKey: "damaged\n" });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({
      outcome: "old-system",
      message: expect.stringMatching(/^none of the host's SSH keys can be kept/),
    });
    expect(notes).toEqual(["confirm system written, data kept"]);
  });

  it.each([
    ["the host has no room", "prepare", "prepare failed"],
    ["its kernel takes no other", "stage", "stage failed"],
    ["the jump is refused", "jump", "jump failed"],
  ])("takes back what it brought when %s", async (_what, fails, message) => {
    const { world, notes } = await machine({ fails });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({ outcome: "old-system", message });
    expect(notes).not.toContain("jump");
    expect(notes.at(-1)).toBe("undo");
  });

  it("refuses, and leaves alone what is another's, when another deploy has the host", async () => {
    const { world, notes } = await machine({ held: true });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({
      outcome: "refused",
      message: "another deploy of old is under way; nothing was changed",
    });
    expect(notes).toEqual(["confirm system written, data kept"]);
  });

  it("fails, with nothing to take back, when the host does not answer at all", async () => {
    const { world, notes, setLife } = await machine();
    setLife("base");
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({
      outcome: "failed",
      message: "no route to host",
    });
    expect(notes).toEqual([]);
  });

  it("looks for the base when the connection is lost by the jump itself (F10)", async () => {
    const { world, notes } = await machine({ breaks: true });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({ outcome: "done" });
    expect(notes).not.toContain("undo");
  });

  it("says so when the old system comes back instead of the base", async () => {
    const { world, notes } = await machine({ after: "old" });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({
      outcome: "old-system",
      message: "the old system came back instead of the base",
      seconds: { downtime: null },
    });
    expect(notes).not.toContain("undo");
  });

  it("goes by a boot entry where kexec is switched off, and clears up where the old system comes back (F05)", async () => {
    const probe = {
      "kexec-disabled": "1",
      "boot-places":
        "grub /boot/grub\ndf /dev/vda1 3990192 1200000 2560000 32% /\nreads custom.cfg\nreads load_env",
    };
    const done = await machine({ probe });
    expect(await deploy(inputsOfDeploy(), done.world)).toMatchObject({ outcome: "done" });
    expect(done.notes).not.toContain("undo");
    const { world, notes } = await machine({ probe, after: "old" });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({
      outcome: "old-system",
      message: "the old system came back instead of the base",
      hint: expect.stringContaining("its bootloader passed over the entry or could not start it"),
    });
    expect(notes.slice(-2)).toEqual(["jump", "undo"]);
  });

  it.each([
    ["knows another nonce", { nonce: "f".repeat(64) }, /not the one of this deploy$/],
    ["holds another plan", { planDigest: "f".repeat(64) }, /another plan than the one confirmed$/],
  ])("sends no secret to a base that %s (F24)", async (_what, base, message) => {
    const { world, secrets, notes } = await machine({ base });
    const short = inputsOfDeploy({ deadManSeconds: 0, waitMs: { base: 100, build: 1_000, boot: 100 } });
    expect(await deploy(short, world)).toMatchObject({
      outcome: "failed",
      message: expect.stringMatching(message),
    });
    expect(secrets).toEqual([]);
    expect(notes).not.toContain("restart");
  });

  it("waits for the old system when the runner fails before any write", async () => {
    const { world, notes } = await machine({
      work: async () => {
        notes.push("fails early");
        throw new Fail("no such disk");
      },
    });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({
      outcome: "old-system",
      message: "the runner failed: no such disk",
      hint: "no disk was written",
    });
    expect(notes).toContain("returns");
  });

  it("has failed when the runner fails after the first write, and says how to go on", async () => {
    const { world, notes } = await machine({
      work: async (ponr) => {
        ponr();
        throw new Fail("the mirror is gone", { hint: "name another one" });
      },
    });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({
      outcome: "failed",
      message: "the runner failed: the mirror is gone",
      hint: expect.stringMatching(
        /^name another one; .*imgbuild resume admin@web; the secrets are wiped at \d\d:\d\d; later, imgbuild resume admin@web --with DEF sends them again$/,
      ),
    });
    expect(notes).not.toContain("restart");
  });

  it("attaches again when the link is lost, and misses nothing (F17)", async () => {
    const { world, connects } = await machine({
      work: async (ponr, cut) => {
        ponr();
        cut();
        await new Promise((resolve) => setTimeout(resolve, 100));
      },
    });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({ outcome: "done", peakMemoryMib: 321 });
    expect(connects.filter(({ key }) => key !== undefined).length).toBe(3);
  });

  /** Its first build is ended by a power cut. */
  const cutOnce = async () => {
    let works = 0;
    return await machine({
      work: async (ponr, _cut, powerCut) => {
        ponr();
        works += 1;
        if (works > 1) return;
        // Long enough for the operator to hear of it.
        await new Promise((resolve) => setTimeout(resolve, 100));
        await powerCut();
        await new Promise(() => {});
      },
    });
  };

  it("brings a tree that was sent again, before the plan that needs it", async () => {
    const { world, notes, trees: uploaded } = await cutOnce();
    const archive = { path: "/c/tree.cpio", size: 512, sha256: "0".repeat(64) };
    const tree = { size: 7, sha256: "1".repeat(64), contentBytes: 9 };
    const trees: DeployWorld["trees"] = {
      ...{ problem: async () => undefined, find: async () => undefined },
      make: async () => ({ archive, start: 124, tree }),
    };
    expect(await deploy(inputsOfDeploy(), { ...world, trees })).toMatchObject({ outcome: "done" });
    const sent = notes.filter((note) => note === "upload tree" || note === "replace");
    expect(sent).toEqual(["upload tree", "upload tree", "replace"]);
    // The kernel unpacks the archive; to the base that runs already the tree itself is brought.
    expect(uploaded).toEqual([
      { source: archive.path, size: 512, start: undefined },
      { source: archive.path, size: 7, start: 124 },
    ]);
  });

  it("brings plan and secrets again to a base that a power cut has started from the disk (F13)", async () => {
    const { world, notes, secrets } = await cutOnce();
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({ outcome: "done" });
    expect(notes.filter((note) => note === "replace")).toHaveLength(1);
    // The kept host keys among them.
    expect(secrets).toEqual([secrets[0], secrets[0]]);
  });

  it("gives up on a machine that starts the base from its disk again and again", async () => {
    const { world, notes } = await machine({
      work: async (ponr, _cut, powerCut) => {
        ponr();
        await powerCut();
        await new Promise(() => {});
      },
    });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({
      ...{ outcome: "failed", message: expect.stringContaining("the machine lost power") },
      hint: expect.stringContaining("imgbuild resume admin@web --with DEF"),
    });
    expect(notes.filter((note) => note === "replace")).toHaveLength(3);
  });

  it("asks the new system itself when the machine restarts before its report comes", async () => {
    const { world, setLife } = await machine({
      work: async (ponr, cut) => {
        ponr();
        // Long enough for the operator to hear of it.
        await new Promise((resolve) => setTimeout(resolve, 100));
        setLife("new");
        cut();
        await new Promise(() => {});
      },
    });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({
      outcome: "done",
      peakMemoryMib: null,
      bootIds: { new: "new-boot" },
    });
  });

  it("asks the new system itself when even the first write was missed", async () => {
    const { world, setLife } = await machine({
      work: async (_ponr, cut) => {
        setLife("new");
        cut();
        await new Promise(() => {});
      },
    });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({
      outcome: "done",
      bootIds: { new: "new-boot" },
    });
  });

  it("never takes the new system for the old one, whatever it missed", async () => {
    const { world, setLife } = await machine({
      work: async () => {
        setLife("new");
        await new Promise(() => {});
      },
    });
    const hurried = inputsOfDeploy({ waitMs: { base: 3_000, build: 100, boot: 3_000 } });
    expect(await deploy(hurried, world)).toMatchObject({
      outcome: "failed",
      message: "the build did not end within its bound",
    });
  });

  it("says GO again when it was lost on its way", async () => {
    const { world, secrets, drop } = await machine();
    drop.next = true;
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({ outcome: "done" });
    expect(secrets).toHaveLength(1);
  });

  it("takes back the loaded kernel when the host never left its old system", async () => {
    const { world, notes } = await machine({ after: "stays" });
    const hurried = inputsOfDeploy({ waitMs: { base: 1_000, build: 1_000, boot: 3_000 } });
    expect(await deploy(hurried, world)).toMatchObject({
      outcome: "old-system",
      message: "the host did not leave its old system within 1 s",
    });
    expect(notes.at(-1)).toBe("undo");
  });

  it("lets go of every connection, however it ends", async () => {
    const done = await machine();
    await deploy(inputsOfDeploy(), done.world);
    expect([...new Set(done.closes)].sort()).toEqual(["base", "new", "old"]);
    const refused = await machine({ probe: { "kexec-disabled": "1" } });
    await deploy(inputsOfDeploy(), refused.world);
    expect(refused.closes).toEqual(["old"]);
    const bug = await machine({ confirm: () => Promise.reject(new TypeError("oops")) });
    await expect(deploy(inputsOfDeploy(), bug.world)).rejects.toThrow(TypeError);
    expect(bug.closes).toEqual(["old"]);
    // Nothing of ours was there yet.
    expect(bug.notes).not.toContain("undo");
  });

  it("is not satisfied by a system without this deploy's mark", async () => {
    const { world } = await machine({ mark: () => '{"nonce":"of another deploy"}' });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({
      outcome: "failed",
      message: "the system that answers is not the one just built",
    });
  });

  it("is not done with a new system that is not healthy", async () => {
    const { world } = await machine({ health: 3 });
    const report = await deploy(inputsOfDeploy(), world);
    expect(report).toMatchObject({
      outcome: "failed",
      message: "the new system runs, but 1 of its checks failed:\n  unit nginx.service: inactive",
    });
    expect(report.health.at(-1)).toMatchObject({ ok: false, detail: "inactive" });
  });

  it("is not done while a unit that the definition enables has failed, unless that is accepted", async () => {
    const system: FakeSystem = {
      units: { "nftables.service": { ActiveState: "failed", Result: "exit-code", ExecMainStatus: "1" } },
      failed: ["nftables.service"],
      journals: { "nftables.service": "nft[300]: /etc/nftables.conf:4: Error: syntax error\n" },
    };
    const spec = serverSpec({ services: { "nftables.service": { state: "enabled" } } });
    const report = await deploy(inputsOfDeploy({ spec }), (await machine({ system })).world);
    expect(report).toMatchObject({
      outcome: "failed",
      message: expect.stringMatching(/unit nftables\.service: it has failed[\s\S]*Error: syntax error/),
      hint: expect.stringMatching(/--accept-degraded/),
    });
    const accepting = inputsOfDeploy({ spec, acceptDegraded: true });
    const accepted = Report.parse(await deploy(accepting, (await machine({ system })).world));
    expect(accepted).toMatchObject({ outcome: "done", message: report.message });
    expect(accepted.health.filter(({ ok }) => !ok)).toHaveLength(2);
  });

  it("lets an interruption and a bug through, after it took back what it brought", async () => {
    const stop = new Fail("interrupted", { exitCode: exitCodes.interrupted });
    const early = await machine({ confirm: () => Promise.reject(stop) });
    await expect(deploy(inputsOfDeploy(), early.world)).rejects.toMatchObject({
      exitCode: exitCodes.interrupted,
    });
    const bug = await machine();
    const world = { ...bug.world, record: () => Promise.reject(new TypeError("oops")) };
    await expect(deploy(inputsOfDeploy(), world)).rejects.toThrow(new TypeError("oops"));
    expect(bug.notes.at(-1)).toBe("undo");
  });

  const interruption = new Fail("interrupted", { exitCode: exitCodes.interrupted });

  it("says what an interruption means before GO, after it, and where nothing was started", async () => {
    const early = await machine();
    const stopping = { ...early.world, record: () => Promise.reject(interruption) };
    await expect(deploy(inputsOfDeploy(), stopping)).rejects.toBe(interruption);
    const before = await machine();
    const connecting: DeployWorld = {
      ...before.world,
      connect: async (options) => {
        if (options.key !== undefined) before.stop.abort(interruption);
        return await before.world.connect(options);
      },
    };
    await expect(deploy(inputsOfDeploy(), connecting)).rejects.toMatchObject({
      exitCode: exitCodes.interrupted,
      hint: "without GO the host returns to its old system after 10 s; at once by: imgbuild abort admin@web",
    });
    const after = await machine({
      work: async () => {
        after.stop.abort(interruption);
        await new Promise(() => {});
      },
    });
    await expect(deploy(inputsOfDeploy(), after.world)).rejects.toMatchObject({
      exitCode: exitCodes.interrupted,
      hint: "the runner goes on without you: imgbuild follow admin@web; until the first write it is taken back by: imgbuild abort admin@web",
    });
  });

  const hurried = { deadManSeconds: 0, waitMs: { base: 100, build: 1_000, boot: 100 } };

  it("sends nothing to a base that refuses its payload, and says why", async () => {
    const { world, secrets } = await machine({
      base: { refusal: new Fail("it is damaged", { hint: "again" }) },
    });
    expect(await deploy(inputsOfDeploy(hurried), world)).toMatchObject({
      outcome: "failed",
      message: "the base refuses: it is damaged",
      hint: "again; no disk was written; the base returns to the old system by itself",
    });
    expect(secrets).toEqual([]);
  });

  it("says what becomes of a base that does not answer, before GO and after it", async () => {
    const dark = await machine();
    const world: DeployWorld = {
      ...dark.world,
      connect: async (options) => {
        if (options.key !== undefined) throw new Fail("no route to the base");
        return await dark.world.connect(options);
      },
    };
    expect(await deploy(inputsOfDeploy(hurried), world)).toMatchObject({
      outcome: "failed",
      message: "the base did not answer within 0 s: no route to the base",
      hint: "without GO it returns to the old system after 0 s",
    });
    const lost = await machine({
      work: async (_ponr, cut) => {
        lost.setLife("old");
        cut();
        await new Promise(() => {});
      },
    });
    const gone: DeployWorld = {
      ...lost.world,
      connect: async (options) => {
        if (lost.secrets.length > 0) throw new Fail("no route to host");
        return await lost.world.connect(options);
      },
    };
    expect(await deploy(inputsOfDeploy(hurried), gone)).toMatchObject({
      outcome: "failed",
      message: expect.stringMatching(/^the base did not answer within \d s: no route to host$/),
      hint: "the runner may go on without you: imgbuild follow admin@web",
    });
  });

  it("says so when the old system comes back in the middle of a build", async () => {
    const { world, setLife } = await machine({
      work: async (_ponr, cut) => {
        setLife("old again");
        cut();
        await new Promise(() => {});
      },
    });
    expect(await deploy(inputsOfDeploy(), world)).toMatchObject({
      outcome: "old-system",
      message: "the old system came back instead of the base",
      hint: expect.stringMatching(/^nothing was written; /),
    });
  });

  it("tells what an interruption behind the point of no return means", async () => {
    const { world, stop } = await machine({
      work: async (ponr) => {
        ponr();
        await new Promise((resolve) => setTimeout(resolve, 100));
        stop.abort(new Fail("interrupted", { exitCode: exitCodes.interrupted }));
        // The runner says nothing for a while.
        await new Promise(() => {});
      },
    });
    await expect(deploy(inputsOfDeploy(), world)).rejects.toMatchObject({
      exitCode: exitCodes.interrupted,
      hint: "the runner goes on without you: imgbuild follow admin@web",
    });
  });
});
