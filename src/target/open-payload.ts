import { readPayload } from "../archive/payload.ts";
import { type DeployData, deployWord, type Machine, Order } from "../schema/base/deploy.ts";
import { digestOf, sha256 } from "../util/digest.ts";
import { Fail, messageOf } from "../util/fail.ts";

/** What a runner works on: the order, and the payload's files by their paths. */
export interface OpenedPayload {
  readonly order: Order;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** Accepts only a payload signed for this deploy and this machine; anything else is a Fail. */
export async function openPayload(
  bytes: Uint8Array,
  deploy: Pick<DeployData, "publicKey" | "nonce">,
  /** `now` undefined: the payload's age was judged before GO, and is not again. */
  here: { readonly machine: Machine; readonly now: Date | undefined },
): Promise<OpenedPayload> {
  try {
    const { files } = await readPayload(bytes, {
      publicKey: deploy.publicKey,
      nonce: deploy.nonce,
      ...here,
    });
    const read = (path: string) =>
      JSON.parse(Buffer.from(files.get(path) ?? new Uint8Array()).toString("utf8")) as unknown;
    const order = Order.parse(read("order.json"));
    if (digestOf(read("plan.json")) !== order.planDigest)
      throw new Fail("the plan is not the one that was confirmed");
    return { order, files };
  } catch (error) {
    throw error instanceof Fail ? error : new Fail(`the payload cannot be read: ${messageOf(error)}`);
  }
}

/**
 * The data that a payload is checked against comes in the same archive. The command line, which the operator gave to kexec apart from
 * the archive, says whether it is the operator's; of a word that is there twice the last counts, as everywhere in the base.
 */
export function checkDeployData(bytes: Uint8Array, commandLine: string, word: string = deployWord): void {
  const prefix = `${word}=`;
  const named = commandLine
    .split(/\s+/)
    .filter((one) => one.startsWith(prefix))
    .at(-1)
    ?.slice(prefix.length);
  if (named !== sha256(bytes))
    throw new Fail(
      named === undefined
        ? `the kernel's command line has no ${word}, so nothing says whose data this is`
        : "the data that came along is not what the kernel's command line names",
      { hint: "nothing in it was used; deploy again, or make the medium anew" },
    );
}
