import { expect, it } from "vitest";
import { keysToBase } from "../../src/operator/deploy-takeover.ts";
import { serverSpec } from "../helpers/deployable.ts";

it("the base lets in the key that the operator came with, and who will be root of the new system", () => {
  const { users } = serverSpec({
    users: {
      root: { keys: ["ssh-ed25519 AAAAroot"] },
      admin: { sudo: true, keys: ["ssh-ed25519 AAAAadmin me", "ssh-ed25519 AAAAmine"] },
      guest: { keys: ["ssh-ed25519 AAAAguest"] },
    },
  });
  expect(keysToBase(["ssh-ed25519 AAAAmine"], { users })).toEqual([
    "ssh-ed25519 AAAAmine",
    "ssh-ed25519 AAAAroot",
    "ssh-ed25519 AAAAadmin me",
  ]);
});
