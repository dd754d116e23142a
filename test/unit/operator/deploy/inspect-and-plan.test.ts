import { describe, expect, it } from "vitest";
import { inspectAndPlan } from "../../../../src/operator/deploy/inspect.ts";
import { newTrail } from "../../../../src/operator/deploy/phases.ts";
import type { Inspected } from "../../../../src/operator/deploy/results.ts";
import type { DeployInputs, DeployWorld } from "../../../../src/operator/deploy/world.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { adminKey, inputsOfDeploy, serverSpec } from "../../../helpers/builders/deployable.ts";
import { signedLoaders } from "../../../helpers/builders/loaders.ts";
import { probeOutput } from "../../../helpers/fakes/probe-output.ts";
import { scriptName } from "../../../helpers/fakes/script-name.ts";

const mirror = (name: string) => `http://${name}.example/debian`;

/** A host that is looked at before a deploy of `inputsOfDeploy`. */
async function looked(
  story: {
    probe?: Record<string, string>;
    reachedBy?: string;
    /** Mirrors that the host does not reach. */
    dead?: string[];
    own?: string[];
    password?: DeployWorld["password"];
    keys?: string[];
    inputs?: Partial<DeployInputs>;
    trees?: DeployWorld["trees"];
    loaders?: DeployWorld["loaders"];
  } = {},
) {
  const asked: string[] = [];
  const became: object[] = [];
  const lines: string[] = [];
  const host = {
    name: "old",
    openedBy: "ssh-ed25519 AAAAmine",
    becomeRoot: async (options: object) => {
      became.push(options);
      return "none";
    },
    exec: async (argv: readonly string[], options: { timeoutMs?: number; accept?: readonly number[] }) => {
      expect(options.timeoutMs, "every wait is bounded").toBeGreaterThan(0);
      const script = scriptName(argv);
      const ok = (stdout = "") => ({ code: 0, stdout, stderr: "" });
      if (argv[1] === "-s") return ok(probeOutput(argv[2]!, story.probe));
      expect(argv[0]).toBe("sh");
      if (script === "reached-at") return ok(`192.0.2.1 1 ${story.reachedBy ?? "192.0.2.10 22"}\n`);
      if (script === "list-keys") {
        expect(options.accept).toContain(1);
        return ok('ssh-ed25519 AAAAcolleague them\n# a note\ncommand="ls" ssh-ed25519 AAAAforced\n');
      }
      expect(script).toBe("reach-mirror");
      const url = argv.at(-1)!;
      asked.push(url);
      const isDead = story.dead?.some((one) => url.startsWith(one)) === true;
      return { code: isDead ? 1 : 0, stdout: "", stderr: isDead ? "no answer" : "" };
    },
  } as unknown as Host;
  const world = {
    log: { ...silentLog, info: (text: string) => lines.push(text), warn: (text: string) => lines.push(text) },
    signal: new AbortController().signal,
    now: Date.now,
    connect: async () => host,
    publicKeys: async () => story.keys ?? [adminKey],
    mirrorsIn: () => (story.own ?? []).map((url) => ({ archive: "debian" as const, url })),
    password: story.password,
    trees: story.trees,
    loaders: story.loaders,
  } as unknown as DeployWorld;
  const log = {
    ...world.log,
    task: async (_doing: string, work: (inner: never) => Promise<unknown>) => await work(log as never),
  };
  const inputs = inputsOfDeploy(story.inputs);
  const inspected = await inspectAndPlan(inputs, { ...world, log } as DeployWorld, newTrail());
  const noGo = inspected.findings.filter(({ verdict }) => verdict === "no-go").map(({ check }) => check);
  return { inspected, asked, became, lines, noGo, host, inputs };
}

/** Trees of this machine: one that is in the cache, or why there can be none. */
function treesOf(story: { readonly size?: number; readonly problem?: string }): DeployWorld["trees"] {
  const tree = { size: 1, sha256: "0".repeat(64), contentBytes: 1 };
  return {
    problem: async () => story.problem,
    find: async () =>
      story.size === undefined
        ? undefined
        : { archive: { path: "/c/tree.cpio", size: story.size, sha256: "0".repeat(64) }, start: 124, tree },
    make: async () => {
      throw new Error("nothing is made yet");
    },
  };
}

function going(inspected: Inspected) {
  if (inspected.verdict === "no-go") throw new Error("it is a no-go");
  return inspected;
}

describe("looking at a host before a deploy", () => {
  it("ends in a plan for this machine, and in what the base will need", async () => {
    const { inspected, noGo, host, inputs, asked } = await looked();
    expect(noGo).toEqual([]);
    expect(inspected).toMatchObject({
      ...{
        verdict: "go",
        old: host,
        loginUser: "admin",
        mirror: "http://deb.example.org/debian",
        reached: { address: "192.0.2.10", port: 22 },
      },
      access: ["ssh-ed25519 AAAAmine"],
      identity: {
        baseKey: { public: expect.stringMatching(/^ssh-ed25519 /) },
        clientKey: { public: expect.stringMatching(/^ssh-ed25519 /) },
      },
      bound: { line: expect.stringMatching(/^host: \{ dmiUuid: /) },
      planDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const { data, identity } = going(inspected);
    expect(identity.nonce).toMatch(/^[0-9a-f]{64}$/);
    expect(data).toEqual({
      version: 1,
      nonce: identity.nonce,
      oldBootId: "11111111-2222-4333-8444-555555555555",
      hostname: inputs.spec.hostname,
      network: expect.objectContaining({ links: [expect.objectContaining({ mac: "52:54:00:12:34:56" })] }),
      deadManSeconds: inputs.deadManSeconds,
    });
    expect(asked).toEqual(["http://deb.example.org/debian/dists/trixie/InRelease"]);
  });

  it("plans with a tree that is made here, where RAM has room for it and it was not said otherwise", async () => {
    const trees = treesOf({ size: 100 * 2 ** 20 });
    const plain = going((await looked()).inspected);
    const local = going((await looked({ trees })).inspected);
    const kinds = ({ plan }: typeof local) => plan.steps.map(({ kind }) => kind);
    expect(kinds(local)).toContain("unpack-tree");
    expect(kinds(local)).not.toContain("install-packages");
    expect(local.build).toMatchObject({
      buildOn: "local",
      lines: [/^local: 100 MiB of tree/, /^target: /, /^host: /].map((line) => expect.stringMatching(line)),
    });
    const target = going((await looked({ trees, inputs: { buildOn: "target" } })).inspected);
    expect(target).toMatchObject({ planDigest: plain.planDigest, build: { buildOn: "target" } });
    expect(target).not.toHaveProperty("tree.made");
    const small = { meminfo: "MemTotal: 716800 kB\nMemAvailable: 204800 kB" };
    const short = await looked({ trees, probe: small });
    expect(going(short.inspected).build).toMatchObject({
      buildOn: "target",
      lines: [expect.stringMatching(/RAM is too small for it$/), ...[expect.anything(), expect.anything()]],
    });
    const forced = await looked({ trees, probe: small, inputs: { buildOn: "local" } });
    expect(forced.noGo).toEqual(["memory"]);
    expect(forced.lines.join("\n")).toMatch(/NO-GO memory: .*tree 100.*--build-on target takes less/);
  });

  it("needs no mirror for a tree that is made here, and says which machine cannot make one", async () => {
    const dead = ["http://deb.example.org"];
    const without = await looked({ dead });
    expect(without.noGo).toEqual(["mirror"]);
    const local = await looked({ dead, trees: treesOf({ size: 2 ** 20 }) });
    expect(local.noGo).toEqual([]);
    expect(local.lines.join("\n")).toMatch(/warn {2}mirror: .*the tree is sent, so no mirror is needed/);
    const trees = treesOf({ problem: "making a tree needs root" });
    expect(going((await looked({ trees })).inspected).build?.buildOn).toBe("target");
    await expect(looked({ trees, inputs: { buildOn: "local" } })).rejects.toMatchObject({
      ...{ message: "--build-on local: making a tree needs root", exitCode: 3 },
      hint: "deploy with --build-on target",
    });
  });

  it("has the old system make the tree where that is asked for, which needs a mirror, or says why it cannot", async () => {
    const trees = treesOf({ problem: "making a tree needs root" });
    const inputs = { buildOn: "host" as const };
    const host = going((await looked({ trees, inputs })).inspected);
    expect(host.plan.steps.map(({ kind }) => kind)).toContain("unpack-tree");
    expect(host).toMatchObject({ build: { buildOn: "host" }, room: { on: "memory" } });
    expect((await looked({ trees, inputs, dead: ["http://deb.example.org"] })).noGo).toEqual(["mirror"]);
    const probe = { "lacks-for-tree": "the filesystem squashfs\nuser namespaces" };
    await expect(looked({ trees, inputs, probe })).rejects.toMatchObject({
      message:
        "--build-on host: the old system's kernel does not give the filesystem squashfs, user namespaces",
      ...{ exitCode: 3, hint: "deploy with --build-on local or --build-on target" },
    });
    // Elsewhere it does not matter.
    expect((await looked({ trees, probe })).noGo).toEqual([]);
  });

  it("makes no plan, keys or nonce where something stands against it, and shows every finding", async () => {
    const { inspected, noGo, lines } = await looked({ probe: { "kexec-disabled": "1" } });
    expect(noGo).toEqual(["takeover"]);
    expect(inspected.verdict).toBe("no-go");
    for (const name of ["plan", "data", "identity", "mirror", "loginUser"])
      expect(inspected).not.toHaveProperty(name);
    expect(lines).toHaveLength(inspected.findings.length);
    expect(lines).toContainEqual(expect.stringMatching(/^NO-GO takeover: /));
  });

  it("makes no plan where hosts.yaml does not name each disk that would be written", async () => {
    expect((await looked({ inputs: { mayWipe: ["OTHER", "SYS"] } })).noGo).toEqual([]);
    const { noGo, lines } = await looked({ inputs: { mayWipe: ["DATA"] } });
    expect(noGo).toEqual(["may wipe"]);
    expect(lines).toContainEqual(expect.stringMatching(/^NO-GO may wipe: SYS would be written, .* DATA; /));
  });

  it("puts the mirror that answered before the others", async () => {
    const inputs = { mirrors: { debian: [mirror("c")], "debian-security": [] } };
    const { inspected } = await looked({ own: [mirror("a"), mirror("b")], dead: [mirror("a")], inputs });
    expect(going(inspected).mirror).toBe(mirror("b"));
    expect(going(inspected).order.mirrors.debian).toEqual([mirror("b"), mirror("a"), mirror("c")]);
    const none = await looked({ own: [mirror("a")], dead: ["http"], inputs });
    expect(none.noGo).toEqual(["mirror"]);
    expect(none.inspected).not.toHaveProperty("plan");
  });

  it("asks for a password where somebody is there to type it", async () => {
    const password = async () => new Secret("password", Buffer.from("x"));
    expect((await looked({ password })).became).toEqual([{ askPassword: password }]);
    expect((await looked()).became).toEqual([{}]);
  });

  it("lets the old login's other keys into the base where asked to, those without options", async () => {
    const { inspected } = await looked({ inputs: { keepAccess: true } });
    expect(inspected.access).toEqual(["ssh-ed25519 AAAAmine", "ssh-ed25519 AAAAcolleague them"]);
  });

  it("refuses an address that the base would not have, a port that the new system does not serve, and keys that open nothing", async () => {
    expect((await looked({ reachedBy: "100.64.0.7 22" })).noGo).toEqual(["network"]);
    const elsewhere = await looked({ reachedBy: "192.0.2.10 2200" });
    expect(elsewhere.noGo).toEqual(["ssh server"]);
    expect(elsewhere.inspected.reached.port).toBe(2200);
    expect((await looked({ keys: [] })).noGo).toEqual(["login"]);
  });

  it("refuses disks that are not there, and a network that cannot be set up again, once each", async () => {
    const { storage, ...rest } = serverSpec();
    const spec = {
      ...rest,
      storage: { ...storage!, disks: { system: { ...storage!.disks.system!, match: { serial: "NONE" } } } },
    };
    const none = await looked({ inputs: { spec: spec as never } });
    expect(none.noGo).toEqual(["disks"]);
    expect(none.inspected.findings.map(({ check }) => check)).not.toContain("room");
    const { noGo, inspected } = await looked({ probe: { "ip-address": "[]" } });
    expect(noGo).toEqual(["network"]);
    // That our address is gone too says nothing more.
    expect(inspected.findings.find(({ check }) => check === "network")?.detail).toBe(
      "no network card was seen at all: `ip`, of the package iproute2, is what shows them",
    );
  });

  it("goes by the operator's clock unless that is not to count", async () => {
    const probe = { "hardware-clock": "3" };
    expect((await looked({ probe })).noGo).toEqual(["clock"]);
    expect((await looked({ probe, inputs: { ignoreClock: true } })).noGo).toEqual([]);
  });

  it("asks what the new system starts by where Secure Boot is on, and refuses what the firmware would", async () => {
    const spec = serverSpec({ boot: { loader: "grub", secureBoot: "debian" } });
    let asked = 0;
    const loaders = async () => {
      asked += 1;
      return { ...signedLoaders, asks: new Map([["grub", 9]]) };
    };
    expect((await looked({ inputs: { spec }, loaders })).noGo).toEqual([]);
    expect(asked).toBe(0);
    const on = { "secure-boot": " 6 0 0 0 1" };
    expect((await looked({ inputs: { spec }, loaders, probe: on })).noGo).toContain("secure boot");
    expect(asked).toBe(1);
  });

  it("warns of a definition that was never built here", async () => {
    const verdict = async (tried: boolean) =>
      (await looked({ inputs: { tried } })).inspected.findings.find(({ check }) => check === "rehearsal")
        ?.verdict;
    expect([await verdict(true), await verdict(false)]).toEqual(["go", "warn"]);
  });
});
