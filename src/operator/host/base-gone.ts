import { exitCodes, Fail } from "../../util/fail.ts";
import type { System } from "../deploy/who-answers.ts";
import type { DeployWorld } from "../deploy/world.ts";
import type { KnownDeploy } from "../records/known-deploys.ts";
import { type BaseLink, greetBase } from "../runner-link/base-link.ts";
import { whoIsBack } from "./who-is-back.ts";

const connectMs = 30_000;
type Command = "follow" | "resume" | "abort";

/** The base of a deploy that was started before, found again by the host key that was noted at the takeover. A BaseGone where it is not there. */
export async function reachBase(
  known: KnownDeploy,
  world: Pick<DeployWorld, "connect" | "signal">,
  command: Command,
): Promise<BaseLink> {
  const how = { user: "root", pins: [known.baseHostKey], timeoutMs: connectMs };
  const host = await world.connect(how).catch(async (error: unknown) => {
    world.signal.throwIfAborted();
    throw error instanceof Fail ? await baseGone(known, command, error, world) : error;
  });
  return await greetBase(host, known.nonce, world.signal);
}

/** The base of a deploy cannot be reached; `which` is the system that answers in its place, undefined where none does. */
export class BaseGone extends Fail {
  readonly which: System | undefined;

  constructor(which: System | undefined, message: string, options: ConstructorParameters<typeof Fail>[1]) {
    super(message, options);
    this.which = which;
  }
}

/** What is known of a host whose base could not be connected to, which failed with `cause`, and what to type next. Looks once. */
export async function baseGone(
  known: KnownDeploy,
  command: Command,
  cause: Fail,
  world: Pick<DeployWorld, "connect">,
): Promise<BaseGone> {
  const { host } = known;
  const again = `imgbuild ${command} ${host}`;
  try {
    const which = await whoIsBack(known, world);
    if (which === "old")
      return new BaseGone(which, `the base does not run any more: ${host} runs its old system again`, {
        cause,
        exitCode: exitCodes.takenBack,
        hint: `when the cause is mended: imgbuild deploy DEF ${host}`,
      });
    if (which === "new")
      return new BaseGone(which, `the base does not run any more: ${host} runs the new system`, {
        cause,
        hint: `imgbuild follow ${host}: has the new system prove itself`,
      });
    return new BaseGone(
      which,
      `the base has not started: ${host} still runs its old system, in the same boot`,
      {
        cause,
        hint: `interrupt the deploy where it runs; if it does not run any more, wait a minute and type: ${again}`,
      },
    );
  } catch (error) {
    if (!(error instanceof Fail)) throw error;
    return new BaseGone(
      undefined,
      `neither the base nor another system answers at ${host}: it may be restarting into its old system, or be building without a network\nthe base: ${cause.message}\nthe old or new system: ${error.message}`,
      {
        cause,
        hint: `look at the machine's console, and in some minutes type: ${again}; without GO, and in a hang before the first write, the base returns to the old system by itself`,
      },
    );
  }
}
