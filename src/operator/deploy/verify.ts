import { type Expected, expectedOf } from "../../system/health/expected.ts";
import { Fail, messageOf } from "../../util/fail.ts";
import type { NewSystem } from "../records/known-deploys.ts";
import { takeBack } from "../takeover/takeover.ts";
import { openedByHand } from "../unlock/by-hand.ts";
import { knownInitramfs } from "../unlock/known-initramfs.ts";
import { openingRoot } from "../unlock/opening-root.ts";
import type { Trail } from "./phases.ts";
import { type Proof, proveNewSystem, waitFor } from "./prove.ts";
import type { Confirmed, HostKeys, Shipped } from "./results.ts";
import { whoAnswers } from "./who-answers.ts";
import type { DeployInputs, DeployWorld } from "./world.ts";

/** The new system has to prove itself, and to be well. */
export async function verifyNewSystem(
  inputs: DeployInputs,
  { newSystem, hostKeys, secrets }: Pick<Shipped, "newSystem" | "hostKeys" | "secrets">,
  world: DeployWorld,
  trail: Trail,
): Promise<Proof> {
  sayWhoIsWaitedFor(inputs.spec, world);
  const verified = await proveNewSystem(newSystem, openingRoot(newSystem, secrets, world), () =>
    trail.mark({ at: "answered", now: world.now() }),
  );
  trail.mark({ at: "verified", verified });
  if (inputs.spec.hostKeys !== "keep")
    world.log.info(
      `for ${inputs.pinned ? "`hostKeys` in hosts.yaml" : "known_hosts"}, in place of the old keys: ${inputs.host} ${hostKeys.pins.join(" ")}`,
    );
  return verified;
}

/** Without it a deploy looks as if it hung, while the machine asks somebody at its console. */
function sayWhoIsWaitedFor(spec: DeployInputs["spec"], { log }: Pick<DeployWorld, "log">): void {
  const { early, later } = openedByHand(spec);
  const names = [...early, ...later];
  if (names.length > 0)
    log.warn(`the machine asks for the passphrase of ${names.join(", ")} at its console: type it there`);
}

/** What the default checks hold the new system against. */
export function expectedIn({ spec, files, links }: DeployInputs): Expected {
  return expectedOf(spec, [...files.keys(), ...links.map(({ path }) => path)]);
}

/** What the new system is to be known by; noted before the takeover, for whoever has to go on without this process. */
export function expectedSystem(
  inputs: DeployInputs,
  { identity, loginUser }: Pick<Confirmed, "identity" | "loginUser">,
  { pins, initramfsPin, rescuePin }: Pick<HostKeys, "pins" | "initramfsPin" | "rescuePin">,
): NewSystem {
  const unlock = knownInitramfs(inputs.spec, initramfsPin);
  return {
    ...(unlock === undefined ? {} : { unlock }),
    ...(rescuePin === undefined ? {} : { rescue: { pins: [rescuePin] } }),
    nonce: identity.nonce,
    pins: [...pins],
    user: loginUser,
    ...expectedIn(inputs),
    slow: inputs.slow,
    bootMs: inputs.waitMs.boot,
  };
}

/** After a failure before any write that we know of: waits until the old system answers again, in any boot. */
export async function waitForOldSystem(
  inputs: DeployInputs,
  shipped: Pick<Shipped, "facts" | "newSystem" | "way">,
  world: DeployWorld,
  went: boolean,
): Promise<boolean> {
  const boundMs = inputs.deadManSeconds * 1000 + inputs.waitMs.boot;
  try {
    const { host, which } = await waitFor(
      boundMs,
      world,
      "the old system",
      () => whoAnswers(shipped, world, went),
      (late) => late.host.close(),
    );
    try {
      if (which === "new") {
        world.log.warn("the new system answers: the runner went on without us");
        return false;
      }
      // A kernel that was never started would be at the next restart; files for an entry take room.
      const isLeft = which === "old, never left" || shipped.way.throughFirmware;
      if (isLeft) await takeBack(host, shipped.way.left, world.log);
    } finally {
      host.close();
    }
    world.log.info("the old system answers, as it was");
    return true;
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    world.log.warn(messageOf(error));
    return false;
  }
}
