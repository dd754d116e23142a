import { expect, it } from "vitest";
import { ownHostKeys } from "../../../../src/operator/deploy/host-keys.ts";
import { newIdentity } from "../../../../src/operator/deploy/inspect.ts";
import { deploySeed } from "../../../../src/operator/plan/plan.ts";
import { generateSshKey, publicKeyOf } from "../../../../src/transport/keys.ts";
import { Secret } from "../../../../src/util/secret.ts";

function keysOf(hostKeys: "new" | { secret: string }, secrets: ReadonlyMap<string, Secret> = new Map()) {
  const keys = ownHostKeys(hostKeys, "web", secrets);
  return [...keys.secrets].map(([name, secret]) => [name, publicKeyOf(secret.expose())]);
}

it("F30: two deploys of a definition have host keys of their own, but for a key that it names", () => {
  const [[first], [second]] = [keysOf("new"), keysOf("new")];
  expect(first).toEqual(["hostkey:ssh_host_ed25519_key", expect.stringMatching(/^ssh-ed25519 /)]);
  expect(second![1]).not.toBe(first![1]);
  const own = generateSshKey("own");
  const secrets = new Map([["key", new Secret("key", Buffer.from(own.private))]]);
  const named = [keysOf({ secret: "key" }, secrets), keysOf({ secret: "key" }, secrets)];
  expect(named.map(([one]) => one![1])).toEqual([own.public, own.public].map((line) => publicOf(line)));
});

it("F30: two deploys have bases with keys of their own", () => {
  const [first, second] = [newIdentity(), newIdentity()];
  const all = [first, second].flatMap(({ nonce, baseKey, clientKey }) => [
    nonce,
    baseKey.private,
    clientKey.private,
  ]);
  expect(new Set(all).size).toBe(6);
});

it("F30: identifiers are of one machine in one of its starts", () => {
  const machine = { machineId: "a", bootId: "b" };
  const seeds = [machine, { ...machine, machineId: "c" }, { ...machine, bootId: "c" }].map((facts) =>
    deploySeed("d", facts),
  );
  expect(new Set(seeds).size).toBe(3);
  expect(deploySeed("d", machine)).toBe(seeds[0]);
});

function publicOf(line: string): string {
  return line.split(" ").slice(0, 2).join(" ");
}
