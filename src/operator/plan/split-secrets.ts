import type { StepData } from "../../schema/plan.ts";
import { placeInitramfsKey } from "../../steps/boot/place-initramfs-key.ts";
import { signLoader } from "../../steps/boot/sign-loader.ts";
import { stepData } from "../../steps/step/step.ts";
import { makeUsers } from "../../steps/tree/make-users.ts";
import { placeHostKeys } from "../../steps/tree/place-host-keys.ts";
import { writeSecrets } from "../../steps/tree/write-secrets.ts";
import type { TreeLayers } from "./tree.ts";

/**
 * Secrets are not laid into a tree that waits on a disk of this machine, or on a medium: they go to the base sealed, and land on
 * the new disks alone, which may be encrypted. `open` makes the tree; `sealed` is for the base.
 */
export function splitSecrets(
  tree: TreeLayers,
  come: { readonly secrets: boolean; readonly hostKeys: boolean },
): { readonly open: TreeLayers; readonly sealed: StepData[] } {
  const system: StepData[] = [];
  const sealed: StepData[] = [];
  for (const step of tree.system) {
    if (step.kind === writeSecrets.kind || step.kind === signLoader.kind) sealed.push(step);
    else if (step.kind === makeUsers.kind && come.secrets) {
      const { users } = makeUsers.schema.parse({ users: step.users });
      const plain = users.map(({ hashedPasswordSecret: _, ...user }) => user);
      system.push(stepData(makeUsers, step.doing, { users: plain }));
      const withPassword = users.filter(({ hashedPasswordSecret }) => hashedPasswordSecret !== undefined);
      if (withPassword.length > 0)
        sealed.push(stepData(makeUsers, "setting passwords", { users: withPassword }));
    } else if (step.kind === placeHostKeys.kind && come.hostKeys)
      // Of those that a package made none is left in the tree.
      system.push(stepData(placeHostKeys, step.doing, { expected: false }));
    else system.push(step);
  }
  if (come.hostKeys) sealed.push(stepData(placeHostKeys, "placing the SSH host keys", { expected: true }));
  const isKey = ({ kind }: StepData) => kind === placeInitramfsKey.kind;
  sealed.push(...tree.finish.filter(isKey));
  return { open: { ...tree, system, finish: tree.finish.filter((step) => !isKey(step)) }, sealed };
}
