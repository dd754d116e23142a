import { describe, expect, it } from "vitest";
import type { Outside } from "../../../../src/operator/deploy/inputs.ts";
import { type UnlockOptions, unlockHost } from "../../../../src/operator/host/unlock-host.ts";
import { recordDeploy } from "../../../../src/operator/records/known-deploys.ts";
import type { Host } from "../../../../src/transport/host.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { notedDeploy } from "../../../helpers/fakes/noted-deploy.ts";
import { initramfs } from "../../../helpers/labs/initramfs.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const layout = "imgbuild/layouts/luks-ssh";
const signal = new AbortController().signal;

/** A host whose initramfs waits for "right", and an operator who types `typed`. */
async function waiting(typed: readonly string[], isUp = false) {
  const early = await initramfs({ root: "right" }, "then");
  const answers = [...typed];
  const asked: string[] = [];
  const env = { XDG_STATE_HOME: tempDir(), IMGBUILD_IDENTITY: "secrets/demo-identity.txt" };
  const outside = {
    ...{ env, log: silentLog, signal, interactive: true, cache: tempDir() },
    askSecret: async (question: string) => {
      asked.push(question);
      return new Secret("answer", Buffer.from(answers.shift() ?? ""));
    },
  } as unknown as Outside;
  const world = {
    ...{ log: silentLog, signal, now: Date.now },
    connect: async (how: { user?: string; pins?: readonly string[] }) => {
      if (!isUp && early.locked.length > 0)
        return await early.reach({ user: how.user, pins: how.pins ?? ["none"] });
      if (how.pins?.includes(early.pin)) throw new Fail("the initramfs is gone");
      return { close: () => {} } as Host;
    },
  };
  const unlock = (options: Partial<UnlockOptions> = {}) =>
    unlockHost("192.0.2.10", { wait: 5, ...options }, world as never, outside);
  return { early, asked, env, unlock };
}

describe("unlockHost", () => {
  it("opens a host that was deployed from here by what is noted of it, and asks for the passphrase until it is right", async () => {
    const { early, env, unlock, asked } = await waiting(["wrong", "right"]);
    const newSystem = {
      ...notedDeploy.newSystem,
      unlock: { pins: [early.pin], volumes: { root: "disk-key" } },
    };
    await recordDeploy(env, "192.0.2.10", { ...notedDeploy, newSystem });
    expect(await unlock()).toEqual(["root"]);
    expect(asked).toEqual(Array(2).fill("Passphrase of root on 192.0.2.10: "));
    expect(early.got).toEqual(["wrong", "right"]);
  });

  it("takes the passphrase from the definition's secrets, and asks where that is wrong or where it is to", async () => {
    const { early, unlock, asked } = await waiting(["right"]);
    expect(await unlock({ definition: layout, hostKey: early.pin })).toEqual(["root"]);
    expect(early.got).toHaveLength(2);
    expect(early.got[0]).not.toBe("");
    expect(asked).toHaveLength(1);
    const other = await waiting(["right"]);
    await other.unlock({ definition: layout, hostKey: other.early.pin, ask: true });
    expect(other.early.got).toEqual(["right"]);
  });

  it("sends nothing to a server with another host key, the one in the definition's secrets included", async () => {
    const { early, unlock } = await waiting(["right"]);
    await expect(unlock({ hostKey: `SHA256:${"A".repeat(43)}`, wait: 1 })).rejects.toThrow(
      /^the initramfs of 192\.0\.2\.10 did not answer within 1 s: .*host key/,
    );
    await expect(unlock({ definition: layout, wait: 1 })).rejects.toThrow(/host key/);
    expect(early.got).toEqual([]);
    expect(early.commands).toEqual([]);
  });

  it("says what is missing where nothing says how the initramfs is known", async () => {
    const { unlock } = await waiting([]);
    await expect(unlock()).rejects.toThrow(
      "nothing says by which host key the initramfs of 192.0.2.10 is known",
    );
    await expect(unlock({ definition: "imgbuild/layouts/luks-tpm2" })).rejects.toThrow(
      "opens nothing over SSH",
    );
  });

  it("leaves a system alone that runs already", async () => {
    const { early, unlock } = await waiting([], true);
    expect(await unlock({ hostKey: early.pin })).toBeUndefined();
    expect(early.commands).toEqual([]);
  });

  it("still knows the initramfs of before after a deploy that came to nothing", async () => {
    const { early, env, unlock } = await waiting(["right"]);
    const noted = (pin: string) => ({
      ...notedDeploy,
      newSystem: { ...notedDeploy.newSystem, unlock: { pins: [pin], volumes: { root: "disk-key" } } },
    });
    await recordDeploy(env, "192.0.2.10", noted(early.pin));
    await recordDeploy(env, "192.0.2.10", noted("ssh-ed25519 AAAAnew"));
    await recordDeploy(env, "192.0.2.10", notedDeploy);
    expect(await unlock()).toEqual(["root"]);
  });
});
