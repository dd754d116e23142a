import type { Spec } from "../../schema/spec.ts";
import { contentsOf, graphOf } from "../../storage/graph/graph.ts";
import { stackOf } from "../../storage/system/storage-config.ts";

/** Volumes at which each start stops until a passphrase is typed at the console; the first start of a deploy included. */
interface ByHand {
  /** What the root needs, which the initramfs asks for. */
  readonly early: readonly string[];
  /** What the running system asks for before it is up, and before SSH answers. */
  readonly later: readonly string[];
}

/** By these words of crypttab a start does not wait for a volume. */
const notWaitedFor = ["nofail", "noauto"];

export function openedByHand({ storage }: Pick<Spec, "storage">): ByHand {
  if (storage === undefined) return { early: [], later: [] };
  const below = new Set(["/", "/usr"].flatMap((mount) => stackOf(storage, mount)).map(({ id }) => id));
  const asked = contentsOf(graphOf(storage), "luks").filter(
    ({ content }) => content.unlock.type === "passphrase",
  );
  const isEarly = ({ id }: (typeof asked)[number]) => below.has(id);
  const names = (some: typeof asked) => some.map(({ content }) => content.name);
  return {
    early: names(asked.filter(isEarly)),
    later: names(
      asked.filter(
        (one) => !isEarly(one) && !one.content.options.some((word) => notWaitedFor.includes(word)),
      ),
    ),
  };
}
