import { Fail, messageOf } from "../../util/fail.ts";
import { keepTrying } from "../../util/promises.ts";
import { type BaseLink, greetBase } from "../runner-link/base-link.ts";
import type { Way } from "../takeover/ways/way.ts";
import type { Trail } from "./phases.ts";
import { pace } from "./prove.ts";
import type { Shipped } from "./results.ts";
import { whoAnswers } from "./who-answers.ts";
import type { DeployInputs, DeployWorld } from "./world.ts";

const connectMs = 20_000;

/** Waits until the base answers with its pinned host key and its runner knows the nonce. Nothing secret is sent yet. */
export async function waitForBase(
  inputs: DeployInputs,
  shipped: Shipped,
  world: DeployWorld,
  trail: Trail,
): Promise<void> {
  const { base: kexecMs, boot: firmwareMs } = inputs.waitMs;
  const waitMs = kexecMs + (shipped.way.throughFirmware ? firmwareMs : 0);
  const base = await attach(inputs, shipped, world, { waitMs, went: false });
  const { state, message, hint, planDigest, bootId } = base.link.hello;
  base.close();
  if (state === "failed")
    throw new Fail(`the base refuses: ${message ?? "no reason given"}`, {
      hint: `${hint === undefined ? "" : `${hint}; `}no disk was written; the base returns to the old system by itself`,
    });
  if (planDigest !== shipped.planDigest) throw new Fail("the base holds another plan than the one confirmed");
  trail.mark({ at: "base", bootId });
  world.log.info(`the base runs (boot ${bootId}) and proved itself by nonce and host key`);
}

/** Another system answers than the base, in another boot than the one that was left. */
export class OtherSystem extends Fail {
  readonly isNew: boolean;

  constructor(isNew: boolean, { hints }: Way, cause: unknown) {
    super(isNew ? "the new system runs already" : "the old system came back instead of the base", {
      cause,
      hint: isNew ? "the build ended while no operator was attached; log in and look" : hints.cameBack,
    });
    this.isNew = isNew;
  }
}

/** Waits for the base of this deploy, by its host key and nonce; `went`: GO was sent already. */
export async function attach(
  inputs: DeployInputs,
  shipped: Shipped,
  world: DeployWorld,
  { waitMs, went }: { readonly waitMs: number; readonly went: boolean },
): Promise<BaseLink> {
  const { baseKey, clientKey, nonce } = shipped.identity;
  const how = { user: "root", pins: [baseKey.public], key: clientKey.private, timeoutMs: connectMs };
  const until = world.now() + waitMs;
  let last: unknown;
  let stayed = false;
  const attempt = async () => {
    try {
      return await greetBase(await world.connect(how), nonce, world.signal);
    } catch (error) {
      if (!(error instanceof Fail)) throw error;
      last = error;
      stayed = await otherAnswers(shipped, world, went, error);
      throw error;
    }
  };
  const base = await keepTrying(attempt, {
    ...pace,
    goesOn: () => world.now() < until,
    isFinal: (error) => !(error instanceof Fail) || error instanceof OtherSystem,
    close: (late) => late.close(),
    signal: world.signal,
  });
  if (base !== undefined) return base;
  const waited = `within ${Math.round(waitMs / 1000)} s`;
  if (stayed)
    throw new Fail(`the host did not leave its old system ${waited}`, {
      hint: shipped.way.hints.stayed,
    });
  throw new Fail(`the base did not answer ${waited}: ${messageOf(last)}`, {
    hint: went
      ? `the runner may go on without you: imgbuild follow ${inputs.host}`
      : `without GO it returns to the old system after ${inputs.deadManSeconds} s`,
  });
}

/** Ends the waiting where another system answers; true when the old one does, in the boot that it was to leave. */
async function otherAnswers(
  shipped: Shipped,
  world: DeployWorld,
  went: boolean,
  cause: Fail,
): Promise<boolean> {
  try {
    const { host, which } = await whoAnswers(shipped, world, went);
    host.close();
    if (which === "old, never left") return true;
    throw new OtherSystem(which === "new", shipped.way, cause);
  } catch (error) {
    if (error instanceof OtherSystem || !(error instanceof Fail)) throw error;
    return false;
  }
}
