import { describe, expect, it } from "vitest";
import type { Outside } from "../../../../src/operator/deploy/inputs.ts";
import { type RescueBootOptions, rescueBoot } from "../../../../src/operator/host/rescue-boot.ts";
import { recordDeploy } from "../../../../src/operator/records/known-deploys.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { exitCodes, Fail } from "../../../../src/util/fail.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { notedDeploy } from "../../../helpers/fakes/noted-deploy.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const pin = "ssh-ed25519 AAAArescue";
const signal = new AbortController().signal;

/** A host that runs `now`, and after a restart `next`; what was done there. */
function machine(
  next: "rescue" | "system",
  { now = "system", noted = true }: { now?: "rescue" | "system"; noted?: boolean } = {},
) {
  const state = { runs: now as "rescue" | "system", boot: 1 };
  const ran: string[] = [];
  const env = { XDG_STATE_HOME: tempDir() };
  const hostOf = (): Host =>
    ({
      close: () => {},
      becomeRoot: async () => "none",
      exec: async (argv: readonly string[]) => {
        const what = argv[3] ?? argv.join(" ");
        ran.push(what);
        if (what === "imgbuild-restart") {
          state.boot += 1;
          state.runs = next;
        }
        const looked = `name web\nboot b-${state.boot}\nentry systemd-boot\n`;
        return {
          code: 0,
          stderr: "",
          stdout: what === "imgbuild-look-for-rescue" ? looked : `b-${state.boot}\n`,
        };
      },
    }) as unknown as Host;
  const world = {
    ...{ log: silentLog, signal, now: Date.now, password: undefined },
    connect: async ({ pins }: { pins?: readonly string[] }) => {
      if ((pins?.includes(pin) ?? false) === (state.runs === "rescue")) return hostOf();
      throw new Fail("another host key");
    },
  };
  const outside = { env, log: silentLog, signal, interactive: false, cache: tempDir() } as unknown as Outside;
  const shown: string[] = [];
  const boot = async (options: Partial<RescueBootOptions> = {}, refuse = false) => {
    if (noted)
      await recordDeploy(env, "192.0.2.10", {
        ...notedDeploy,
        newSystem: { ...notedDeploy.newSystem, rescue: { pins: [pin] } },
      });
    return await rescueBoot(
      "192.0.2.10",
      { wait: 5, ...options },
      world as never,
      outside,
      async ({ name }, lines) => {
        shown.push(name, ...lines);
        if (refuse) throw new Fail("not confirmed", { exitCode: exitCodes.refused });
      },
    );
  };
  return { boot, ran, shown };
}

describe("rescueBoot", () => {
  it("shows what it will do, has the host start the base once, and waits for its noted host key", async () => {
    const { boot, ran, shown } = machine("rescue");
    expect(await boot()).toEqual({ pins: [pin], already: false });
    expect(shown[0]).toBe("web");
    expect(shown.join("\n")).toMatch(/all its services stop[\s\S]*for one start[\s\S]*SHA256:/);
    expect(ran.slice(0, 3)).toEqual([
      "imgbuild-look-for-rescue",
      "imgbuild-start-rescue-once",
      "imgbuild-restart",
    ]);
  });

  it("changes nothing unless that is confirmed", async () => {
    const { boot, ran } = machine("rescue");
    await expect(boot({}, true)).rejects.toMatchObject({ exitCode: exitCodes.refused });
    expect(ran).toEqual(["imgbuild-look-for-rescue"]);
  });

  it("ends as taken back where the system has started again instead", async () => {
    await expect(machine("system").boot()).rejects.toMatchObject({
      exitCode: exitCodes.takenBack,
      message: expect.stringContaining("its system answers instead of the rescue system"),
    });
  });

  it("restarts nothing where the rescue system runs already", async () => {
    const { boot, ran } = machine("rescue", { now: "rescue" });
    expect(await boot()).toEqual({ pins: [pin], already: true });
    expect(ran.join()).not.toContain("restart");
  });

  it("touches no host whose rescue system could not be known again", async () => {
    const { boot, ran } = machine("rescue", { noted: false });
    await expect(boot()).rejects.toMatchObject({
      exitCode: exitCodes.usage,
      message: expect.stringContaining("nothing says by which host key"),
    });
    expect(ran).toEqual([]);
  });
});
