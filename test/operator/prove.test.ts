import { describe, expect, it } from "vitest";
import { type NewSystem, proveNewSystem, unhealthy } from "../../src/operator/prove.ts";
import { markPath } from "../../src/steps/finish-tree.ts";
import type { Host } from "../../src/transport/host.ts";
import { Fail } from "../../src/util/fail.ts";
import { silentLog } from "../../src/util/log.ts";
import { localHost } from "../helpers/local-host.ts";

const nonce = "a".repeat(64);
const wanted: NewSystem = {
  nonce,
  pins: ["ssh-ed25519 AAAA"],
  user: "admin",
  health: [{ type: "unit", unit: "nginx.service", withinSeconds: 1 }],
  slow: 1,
  bootMs: 5_000,
};

/** A machine that answers from the `first` try on. */
function machine(options: { first?: number; mark?: string; unit?: number } = {}) {
  const { first = 1, mark = `{"nonce":"${nonce}"}`, unit = 0 } = options;
  const connects: object[] = [];
  const host: Host = {
    ...localHost().host,
    exec: async (argv) => {
      if (argv.includes(markPath)) return { code: 0, stdout: mark, stderr: "" };
      if (argv[0] === "cat") return { code: 0, stdout: 'boot-2\nPRETTY_NAME="Debian 13"\n', stderr: "" };
      return { code: unit, stdout: "", stderr: "inactive" };
    },
  };
  const world = {
    log: silentLog,
    signal: new AbortController().signal,
    now: Date.now,
    password: undefined,
    connect: async (how: object) => {
      connects.push(how);
      if (connects.length < first) throw new Fail("no route to host");
      return host;
    },
  };
  return { world, connects };
}

describe("proveNewSystem", () => {
  it("waits for the pinned host key, reads the mark, and runs the health checks", async () => {
    const { world, connects } = machine({ first: 2 });
    const answered: string[] = [];
    const proven = await proveNewSystem(wanted, world, ({ name }) => answered.push(name));
    expect(proven).toMatchObject({ bootId: "boot-2", os: "Debian 13", health: [{ ok: true }] });
    expect(answered).toEqual(["local"]);
    expect(connects).toHaveLength(2);
    expect(connects[1]).toMatchObject({ pins: ["ssh-ed25519 AAAA"], user: "admin" });
    expect(unhealthy(proven.health)).toBeUndefined();
  });

  it("is not content with a system that has another deploy's mark, or none", async () => {
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

  it("tells of a system that runs and is not well", async () => {
    const { health } = await proveNewSystem(wanted, machine({ unit: 3 }).world);
    expect(unhealthy(health)?.message).toBe("the new system runs, but 1 of its health checks failed");
  });
});
