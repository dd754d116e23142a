import { exitCodes, Fail } from "../../util/fail.ts";
import type { Finding } from "../inspect/finding.ts";
import { sizeOf } from "../takeover/takeover.ts";
import { fitsOnDisk, memoryNeeds } from "../takeover/ways/memory.ts";
import { imageInputs } from "../tree/tree-for-host.ts";
import { ownTreeInputs } from "./inspect.ts";
import type { Confirmed, Inspected, Ready } from "./results.ts";
import type { DeployInputs, DeployWorld } from "./world.ts";

/**
 * Makes the tree, where it is shipped: before anybody is asked for anything, as what ends its making ends the deploy with nothing
 * changed. What preflight refuses is not made.
 */
export async function makeTree(
  inputs: DeployInputs,
  inspected: Inspected,
  { trees, log }: Pick<DeployWorld, "trees" | "log">,
): Promise<Inspected & Pick<Ready, "packed">> {
  if (inspected.verdict === "no-go" || inspected.tree === undefined) return inspected;
  if (trees === undefined) throw new Error("a tree is to be shipped, and nothing makes it");
  const { made } = inspected.tree;
  const own = ownTreeInputs(inputs);
  const packed = await trees.make({ ...imageInputs(own), filesDir: inputs.filesDir }, made, log);
  const problem = tooLarge(inspected, { baseBytes: sizeOf(inputs.base), treeBytes: packed.archive.size });
  if (problem === undefined) return { ...inspected, packed };
  throw new Fail(problem, { exitCode: exitCodes.refused, hint: "deploy with --build-on target" });
}

/** Before a tree was made its size was a guess: why the base could not be started with it. */
export function tooLarge(
  { facts, way }: Pick<Ready, "facts" | "way">,
  sizes: { readonly baseBytes: number; readonly treeBytes: number },
): string | undefined {
  const { cacheMib, memoryMib } = facts;
  const { total, available } = memoryNeeds({ ...sizes, onDisk: fitsOnDisk(cacheMib, sizes) });
  const isShort =
    memoryMib.total < total.mib || (!way.throughFirmware && memoryMib.available < available.mib);
  return isShort
    ? `the tree is too large for the host's RAM: ${memoryMib.total} MiB, ${memoryMib.available} MiB available; needed ${total.mib} MiB (${total.sum}) and ${available.mib} MiB (${available.sum})`
    : undefined;
}

/** Opens the secrets, and has somebody say yes to the plan. What preflight refuses ends here. */
export async function confirmPlan(
  inputs: DeployInputs,
  inspected: Inspected & Pick<Ready, "packed">,
  world: Pick<DeployWorld, "confirm">,
): Promise<Confirmed> {
  if (inspected.verdict === "no-go")
    throw noGo("the preflight says no-go; nothing was changed", inspected.findings);
  const secrets = await openedSecrets(inputs);
  const { facts, findings, bound, plan, planDigest, disks, apt, fates, build } = inspected;
  await world.confirm({ facts, findings, bound, plan, planDigest, disks, apt, fates, build });
  return { ...inspected, secrets };
}

/** A refusal, with what helps against the first finding that ends in it. */
export function noGo(message: string, findings: readonly Finding[]): Fail {
  return new Fail(message, {
    exitCode: exitCodes.refused,
    hint: findings.find(({ verdict }) => verdict === "no-go")?.hint ?? "see the findings",
  });
}

/** All secrets of a deploy. */
export async function openedSecrets({ secrets, openSecrets }: DeployInputs): Promise<Confirmed["secrets"]> {
  return new Map([...secrets, ...((await openSecrets?.()) ?? [])]);
}
