import { readPayload } from "../archive/payload.ts";
import { type DeployData, Order } from "../schema/deploy.ts";
import { digestOf } from "../util/digest.ts";
import { Fail, messageOf } from "../util/fail.ts";

/** What a runner works on: the order, and the payload's files by their paths. */
export interface OpenedPayload {
  readonly order: Order;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** Only a payload signed for this deploy is worked on; anything else is a Fail. */
export async function openPayload(
  bytes: Uint8Array,
  deploy: Pick<DeployData, "publicKey" | "nonce" | "machineId">,
): Promise<OpenedPayload> {
  try {
    const { files } = await readPayload(bytes, {
      publicKey: deploy.publicKey,
      nonce: deploy.nonce,
      machineId: deploy.machineId,
      // The target's clock may be wrong by years; the nonce binds the payload to this deploy.
      now: undefined,
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
