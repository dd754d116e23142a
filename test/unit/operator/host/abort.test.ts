import { describe, expect, it } from "vitest";
import type { ConnectOptions, DeployWorld } from "../../../../src/operator/deploy/world.ts";
import { abortDeploy } from "../../../../src/operator/host/abort.ts";
import { grubEntry } from "../../../../src/operator/takeover/ways/grub.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { type Log, silentLog } from "../../../../src/util/log.ts";
import { notedDeploy } from "../../../helpers/fakes/noted-deploy.ts";
import { scriptName } from "../../../helpers/fakes/script-name.ts";

const { left } = grubEntry("/boot/grub");

/** Aborts a deploy whose base has returned already. */
async function abort(how: { left?: typeof left; root?: "sudo" | "impossible"; lost?: boolean } = {}) {
  const ran: string[] = [];
  const lines: string[] = [];
  const life = { open: 0, connects: 0 };
  const log: Log = { ...silentLog, warn: (text) => void lines.push(text) };
  const connect = async ({ pins }: ConnectOptions): Promise<Host> => {
    life.connects += 1;
    // The base's host key, then the old system by known_hosts, to look and to clear up.
    if (pins !== undefined || (how.lost && life.connects > 2)) throw new Fail("no route to host");
    life.open += 1;
    const exec = async (argv: readonly string[]) => {
      if (argv[0] === "sh") ran.push(scriptName(argv) ?? "");
      return { code: 0, stdout: argv.at(-1)!.endsWith("boot_id") ? "another\n" : "", stderr: "" };
    };
    const close = () => {
      life.open -= 1;
    };
    return { name: "web", exec, close, becomeRoot: async () => how.root ?? "sudo" } as unknown as Host;
  };
  const world = { connect, log, now: Date.now, signal: new AbortController().signal };
  const known = { ...notedDeploy, host: "web", ...(how.left === undefined ? {} : { left: how.left }) };
  await abortDeploy(known, world as unknown as DeployWorld);
  return { ran, lines, open: life.open };
}

describe("aborting a deploy whose old system is back", () => {
  it("removes what a boot entry needed", async () => {
    expect(await abort({ left })).toEqual({ ran: ["undo"], lines: [], open: 0 });
  });

  it("leaves a host alone that was taken over without", async () => {
    expect(await abort()).toEqual({ ran: [], lines: [], open: 0 });
  });

  it("says what stays where root needs a password, or the host is gone again", async () => {
    const stays =
      /^the base's files are still in \/boot\/grub\/imgbuild-takeover on web: the next deploy removes them/;
    for (const how of [{ root: "impossible" } as const, { lost: true }])
      expect(await abort({ left, ...how })).toEqual({
        ran: [],
        lines: [expect.stringMatching(stays)],
        open: 0,
      });
  });
});
