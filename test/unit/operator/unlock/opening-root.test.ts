import { describe, expect, it } from "vitest";
import { openingRoot } from "../../../../src/operator/unlock/opening-root.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { type Log, silentLog } from "../../../../src/util/log.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { initramfs } from "../../../helpers/labs/initramfs.ts";

/** A machine whose system answers once its root is open; what a deploy with these secrets sees of it. */
async function machine(secrets: Readonly<Record<string, string>>) {
  const early = await initramfs({ root: "right" });
  const said: string[] = [];
  const log: Log = {
    ...silentLog,
    task: (doing, work) => {
      said.push(doing);
      return work(log);
    },
    warn: (text) => said.push(`! ${text}`),
  };
  const system = { name: "system" } as Host;
  const world = openingRoot(
    { unlock: { pins: [early.pin], port: 2222, volumes: { root: "disk-key" } } },
    new Map(Object.entries(secrets).map(([name, text]) => [name, new Secret(name, Buffer.from(text))])),
    {
      ...{ log, signal: new AbortController().signal },
      connect: async ({
        user,
        port,
        pins,
      }: {
        user?: string;
        port?: number;
        pins?: readonly string[];
        timeoutMs?: number;
      }) => {
        if (port === 2222) return await early.reach({ user, pins });
        if (early.locked.length > 0) throw new Fail("no answer");
        return system;
      },
    },
  );
  const tries = async (times: number) => {
    for (let left = times; left > 0; left -= 1) {
      const host = await world.connect({}).catch(() => undefined);
      if (host !== undefined) return host;
    }
    return undefined;
  };
  return { early, said, tries, system };
}

describe("a deploy that waits for its new system", () => {
  it("opens the root itself, as a step", async () => {
    const { tries, system, said, early } = await machine({ "disk-key": "right\n" });
    expect(await tries(2)).toBe(system);
    expect(early.got).toEqual(["right"]);
    expect(said).toEqual(["opening the root over SSH"]);
  });

  it("answers once, though a wait begins a try before the last has ended", async () => {
    const { tries, early } = await machine({ "disk-key": "right" });
    await Promise.all([tries(1), tries(1), tries(1)]);
    expect(early.got).toEqual(["right"]);
    // The second session asks whether there is more.
    expect(early.commands).toHaveLength(2);
  });

  it("tries a wrong passphrase once, says so, and goes on waiting", async () => {
    const { tries, said, early } = await machine({ "disk-key": "wrong" });
    expect(await tries(3)).toBeUndefined();
    expect(early.got).toEqual(["wrong"]);
    expect(said[1]).toMatch(/^! the passphrase does not open root; type it at the console/);
  });

  it("is left as it is where nothing is opened over SSH", async () => {
    const world = {
      log: silentLog,
      signal: new AbortController().signal,
      connect: () => Promise.reject(new Error()),
    };
    expect(openingRoot({}, new Map(), world)).toBe(world);
  });
});
