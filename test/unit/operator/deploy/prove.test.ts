import { describe, expect, it } from "vitest";
import { proveNewSystem, unhealthy } from "../../../../src/operator/deploy/prove.ts";
import type { NewSystem } from "../../../../src/operator/records/known-deploys.ts";
import { markPath } from "../../../../src/steps/tree/finish-tree.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { type FakeSystem, fakeSystem } from "../../../helpers/fakes/fake-system.ts";
import { localHost } from "../../../helpers/fakes/local-host.ts";

const nonce = "a".repeat(64);
const wanted: NewSystem = {
  nonce,
  pins: ["ssh-ed25519 AAAA"],
  user: "admin",
  health: [],
  units: ["nginx.service"],
  placed: [],
  scripts: false,
  slow: 1,
  bootMs: 5_000,
};

/** A machine that answers from the `first` try on. */
function machine(
  options: { first?: number; mark?: string; system?: FakeSystem; becomeRoot?: Host["becomeRoot"] } = {},
) {
  const { first = 1, mark = `{"nonce":"${nonce}"}` } = options;
  const connects: object[] = [];
  const asRoot: (boolean | undefined)[] = [];
  const { shell } = fakeSystem(options.system);
  const host: Host = {
    ...localHost().host,
    ...(options.becomeRoot === undefined ? {} : { becomeRoot: options.becomeRoot }),
    exec: async (argv, { root, timeoutMs } = {}) => {
      expect(timeoutMs, "every wait is bounded").toBeGreaterThan(0);
      if (argv.includes(markPath)) return { code: 0, stdout: mark, stderr: "" };
      if (argv[0] === "cat") return { code: 0, stdout: 'boot-2\nPRETTY_NAME="Debian 13"\n', stderr: "" };
      asRoot.push(root);
      return await shell.run(argv);
    },
  };
  const world = {
    log: silentLog,
    signal: new AbortController().signal,
    now: Date.now,
    connect: async (how: object) => {
      connects.push(how);
      if (connects.length < first) throw new Fail("no route to host");
      return host;
    },
  };
  return { world, connects, asRoot };
}

describe("proveNewSystem", () => {
  it("waits for the pinned host key, reads the mark, and runs the default checks", async () => {
    const { world, connects } = machine({ first: 2 });
    const answered: string[] = [];
    const proven = await proveNewSystem(wanted, world, ({ name }) => answered.push(name));
    expect(proven).toMatchObject({ bootId: "boot-2", os: "Debian 13" });
    expect(proven.health.map(({ check }) => check)).toContain("unit nginx.service");
    expect(answered).toEqual(["local"]);
    expect(connects).toHaveLength(2);
    expect(connects[1]).toMatchObject({ pins: ["ssh-ed25519 AAAA"], user: "admin" });
    expect(unhealthy(proven.health)).toBeUndefined();
  });

  it("is not content with a system that has another deploy's mark, or none (F24)", async () => {
    for (const mark of ['{"nonce":"b"}', ""])
      await expect(proveNewSystem(wanted, machine({ mark }).world)).rejects.toThrow(
        "the system that answers is not the one just built",
      );
  });

  it("gives up at the end of its time, with the last reason", async () => {
    const { world } = machine({ first: 100 });
    await expect(proveNewSystem({ ...wanted, bootMs: 100 }, world)).rejects.toThrow(
      "the new system did not answer within 0 s: no route to host",
    );
  });

  it("is not content with a system that runs while what the definition enables has failed", async () => {
    const { world, asRoot } = machine({
      system: {
        units: { "nginx.service": { ActiveState: "failed", Result: "exit-code", ExecMainStatus: "1" } },
        failed: ["nginx.service"],
        journals: { "nginx.service": "[3.2] nginx[4]: unknown directive\n" },
      },
    });
    const { health } = await proveNewSystem(wanted, world);
    const problem = unhealthy(health);
    expect(problem?.message).toBe(
      [
        "the new system runs, but 2 of its checks failed:",
        "  no unit has failed: nginx.service",
        "    nginx.service:",
        "      [3.2] nginx[4]: unknown directive",
        "  unit nginx.service: it has failed (exit-code, status 1)",
        "      [3.2] nginx[4]: unknown directive",
      ].join("\n"),
    );
    expect(problem?.hint).toMatch(/--accept-degraded/);
    expect(asRoot.every((one) => one === true)).toBe(true);
  });

  it.each<[string, Host["becomeRoot"]]>([
    [
      "has sudo with a password alone",
      async ({ askPassword }) => (askPassword ? Promise.reject(new Error("asked")) : "impossible"),
    ],
    ["has a sudo that hangs", () => Promise.reject(new Fail("sudo did not end within 30 s"))],
  ])(
    "asks for no password on a system that %s, and says what it could not prove there",
    async (_what, becomeRoot) => {
      const warned: string[] = [];
      const { world, asRoot } = machine({ becomeRoot, system: { answers: { false: { code: 1 } } } });
      const command = { type: "command" as const, argv: ["false"], withinSeconds: 0 };
      const { health } = await proveNewSystem(
        { ...wanted, health: [command] },
        { ...world, log: { ...silentLog, warn: (message) => void warned.push(message) } },
      );
      expect(unhealthy(health)).toBeUndefined();
      expect(health.find(({ check }) => check === "command false")).toMatchObject({
        ok: true,
        detail: expect.stringMatching(/^not checked: .* without a password/),
      });
      expect(warned.at(-1)).toMatch(/^command false: not checked/);
      expect(asRoot.every((one) => one === false)).toBe(true);
      // A unit that has failed is seen by every user.
      const sick = machine({
        becomeRoot,
        system: { units: { "nginx.service": { ActiveState: "failed" } }, failed: ["nginx.service"] },
      });
      expect(unhealthy((await proveNewSystem(wanted, sick.world)).health)).toBeDefined();
    },
  );
});
