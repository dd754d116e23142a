import { describe, expect, it } from "vitest";
import { newTrail } from "../../../../src/operator/deploy/phases.ts";
import type { Shipped } from "../../../../src/operator/deploy/results.ts";
import { expectedSystem, verifyNewSystem, waitForOldSystem } from "../../../../src/operator/deploy/verify.ts";
import type { ConnectOptions, DeployInputs, DeployWorld } from "../../../../src/operator/deploy/world.ts";
import { grubEntry } from "../../../../src/operator/takeover/ways/grub.ts";
import { kexec } from "../../../../src/operator/takeover/ways/kexec.ts";
import type { Way } from "../../../../src/operator/takeover/ways/way.ts";
import { markPath } from "../../../../src/steps/tree/finish-tree.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { type Log, silentLog } from "../../../../src/util/log.ts";
import { inputsOfDeploy, machineFacts, serverSpec } from "../../../helpers/builders/deployable.ts";
import { fakeSystem } from "../../../helpers/fakes/fake-system.ts";
import { scriptName } from "../../../helpers/fakes/script-name.ts";

const nonce = "e".repeat(64);
const facts = machineFacts();
const keptKeys = facts.hostKeys;
const key = { private: "", public: "" };

/** What answers at a host after the jump: with the mark of a deploy, in a boot. */
function answering(
  answer: { mark?: string; boot?: string; root?: "none" | "impossible"; bug?: Error } | undefined,
  change: { inputs?: Partial<DeployInputs>; pins?: string[]; way?: Way } = {},
) {
  const lines: string[] = [];
  const log: Log = {
    ...silentLog,
    info: (text) => void lines.push(text),
    warn: (text) => void lines.push(`! ${text}`),
  };
  const said = { closed: 0, undone: 0 };
  const connects: ConnectOptions[] = [];
  const { shell } = fakeSystem();
  const host = {
    name: "web",
    closed: false,
    exec: async (argv: readonly string[]) => {
      if (argv.includes(markPath)) return { code: 0, stdout: answer?.mark ?? "", stderr: "" };
      if (argv[0] === "cat") {
        const release = argv.includes("/etc/os-release") ? 'PRETTY_NAME="Debian 13"\n' : "";
        return { code: 0, stdout: `${answer?.boot ?? "another"}\n${release}`, stderr: "" };
      }
      if (scriptName(argv) === "undo") {
        said.undone += 1;
        return { code: 0, stdout: "", stderr: "" };
      }
      return await shell.run(argv);
    },
    becomeRoot: async () => answer?.root ?? "none",
    close: () => {
      said.closed += 1;
    },
  } as unknown as Host;
  const world = {
    ...{ log, signal: new AbortController().signal, now: Date.now },
    connect: async (options: ConnectOptions) => {
      connects.push(options);
      if (answer?.bug !== undefined) throw answer.bug;
      if (answer === undefined) throw new Fail("no route to host");
      return host;
    },
  } as unknown as DeployWorld;
  const waitMs = { base: 1, build: 1, boot: 50 };
  const inputs = inputsOfDeploy({ deadManSeconds: 0, waitMs, ...change.inputs });
  const hostKeys = { secrets: new Map(), pins: change.pins ?? keptKeys };
  const known = { identity: { nonce, ...{ baseKey: key, clientKey: key } }, loginUser: "admin" };
  const newSystem = expectedSystem(inputs, known, hostKeys);
  const { way = kexec } = change;
  const built = { facts, ...known, hostKeys, newSystem, way } as unknown as Shipped;
  return { inputs, built, world, lines, said, connects };
}

describe("the way back to the old system", () => {
  const back = async (...given: Parameters<typeof answering>) => {
    const { inputs, built, world, lines, said } = answering(...given);
    return { came: await waitForOldSystem(inputs, built, world, false), lines, said };
  };

  it("is at its end when that answers in another boot", async () => {
    const { came, lines, said } = await back({});
    expect([came, said]).toEqual([true, { closed: 1, undone: 0 }]);
    expect(lines).toEqual(["the old system answers, as it was"]);
  });

  it("takes the loaded kernel back where the host never left", async () => {
    const { came, said } = await back({ boot: facts.bootId });
    expect([came, said]).toEqual([true, { closed: 1, undone: 1 }]);
  });

  it("says how the kernel is taken back where that needs a password", async () => {
    const { came, lines, said } = await back({ boot: facts.bootId, root: "impossible" });
    expect([came, said]).toEqual([true, { closed: 1, undone: 0 }]);
    expect(lines[0]).toMatch(/^! the base's kernel is still loaded on web: `kexec --unload` as root/);
  });

  it("clears up what a boot entry needed, or says what stays, once the old system is back", async () => {
    const way = grubEntry("/boot/grub");
    const { came, lines, said } = await back({}, { way });
    expect([came, said, lines]).toEqual([
      true,
      { closed: 1, undone: 1 },
      ["the old system answers, as it was"],
    ]);
    const kept = await back({ root: "impossible" }, { way });
    expect(kept.said.undone).toBe(0);
    expect(kept.lines[0]).toBe(
      "! the base's files are still in /boot/grub/imgbuild-takeover on web: the next deploy removes them, and what leads to them",
    );
  });

  it("is none where the new system answers", async () => {
    const { came, lines, said } = await back({ mark: `{"nonce":"${nonce}"}` });
    expect([came, said.closed, said.undone]).toEqual([false, 1, 0]);
    expect(lines).toEqual(["! the new system answers: the runner went on without us"]);
  });

  it("is given up within its bound where nothing answers, and lets a bug through", async () => {
    const { came, lines } = await back(undefined);
    expect(came).toBe(false);
    expect(lines).toEqual([
      expect.stringMatching(/^! the old system did not answer within 0 s: no route to host$/),
    ]);
    await expect(back({ bug: new TypeError("oops") })).rejects.toThrow(new TypeError("oops"));
  });

  it("is waited for as long as the dead man and a start may take", async () => {
    const { inputs, built, world } = answering(undefined, { inputs: { deadManSeconds: 100 } });
    let now = 0;
    const times = { ...world, now: () => (now += 40_000) };
    await waitForOldSystem(inputs, built, times, false);
    // Begun at 40 s, and asked until 140 s and a little.
    expect(now).toBe(160_000);
  }, 20_000);
});

describe("the new system", () => {
  it("is expected with the mark, the old host keys where they are kept, and what the definition wants", () => {
    const health = [{ type: "unit" as const, unit: "nginx.service" }];
    const spec = serverSpec({ health, services: { "nginx.service": { state: "enabled" } } });
    const given = { spec, slow: 3, links: [{ path: "/etc/link", target: "x" }] as never };
    const files = new Map([["/etc/file", { content: Buffer.from(""), mode: 0o644 }]]) as never;
    expect(answering({}, { inputs: { ...given, files } }).built.newSystem).toMatchObject({
      ...{ nonce, pins: keptKeys, user: "admin", slow: 3, bootMs: 50, health, units: ["nginx.service"] },
      placed: expect.arrayContaining(["/etc/file", "/etc/link"]),
    });
  });

  it("is expected with its own keys where it gets new ones", () => {
    const pins = ["ssh-ed25519 AAAAnew"];
    const { newSystem } = answering({}, { inputs: { spec: serverSpec({ hostKeys: "new" }) }, pins }).built;
    expect(newSystem.pins).toEqual(pins);
  });

  it("is noted with boot, name and health, and what known_hosts is to have", async () => {
    const pins = ["ssh-ed25519 AAAAnew"];
    const spec = serverSpec({ hostKeys: "new" });
    const story = answering({ mark: `{"nonce":"${nonce}"}`, boot: "new-boot" }, { inputs: { spec }, pins });
    const { inputs, built, world, lines, connects, said } = story;
    const trail = newTrail();
    const verified = await verifyNewSystem(inputs, built, world, trail);
    expect(verified).toMatchObject({ bootId: "new-boot", os: "Debian 13" });
    expect(verified.health.length).toBeGreaterThan(0);
    expect(trail.last("answered")?.now).toBeGreaterThan(0);
    expect(trail.last("verified")?.verified).toBe(verified);
    expect(said.closed).toBe(1);
    expect(connects).toEqual([expect.objectContaining({ pins, user: "admin" })]);
    expect(lines).toContain("for known_hosts, in place of the old keys: admin@web ssh-ed25519 AAAAnew");
    const kept = answering({ mark: `{"nonce":"${nonce}"}` });
    await verifyNewSystem(kept.inputs, kept.built, kept.world, newTrail());
    expect(kept.lines.join()).not.toContain("known_hosts");
  });
});
