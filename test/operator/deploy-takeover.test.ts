import { expect, it } from "vitest";
import { keysToBase } from "../../src/operator/deploy-takeover.ts";
import { serverSpec } from "../helpers/deployable.ts";

it("the base lets in whoever the old system did, and who will be root of the new one", () => {
  const { users } = serverSpec({
    users: {
      root: { keys: ["ssh-ed25519 AAAAroot"] },
      admin: { sudo: true, keys: ["ssh-ed25519 AAAAadmin me", "ssh-ed25519 AAAAboth"] },
      guest: { keys: ["ssh-ed25519 AAAAguest"] },
    },
  });
  expect(keysToBase(["ssh-rsa AAAAold", "ssh-ed25519 AAAAboth"], { users })).toEqual([
    "ssh-rsa AAAAold",
    "ssh-ed25519 AAAAboth",
    "ssh-ed25519 AAAAroot",
    "ssh-ed25519 AAAAadmin me",
  ]);
});
