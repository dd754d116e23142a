import { exitCodes, Fail } from "../../util/fail.ts";
import type { Finding } from "../inspect/finding.ts";
import type { Confirmed, Inspected } from "./results.ts";
import type { DeployInputs, DeployWorld } from "./world.ts";

/** Opens the secrets, and has somebody say yes to the plan. What preflight refuses ends here. */
export async function confirmPlan(
  inputs: DeployInputs,
  inspected: Inspected,
  world: Pick<DeployWorld, "confirm">,
): Promise<Confirmed> {
  if (inspected.verdict === "no-go")
    throw noGo("the preflight says no-go; nothing was changed", inspected.findings);
  const secrets = await openedSecrets(inputs);
  const { facts, findings, bound, plan, planDigest, disks, apt, fates } = inspected;
  await world.confirm({ facts, findings, bound, plan, planDigest, disks, apt, fates });
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
