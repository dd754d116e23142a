import { randomBytes } from "node:crypto";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { openWith, sealFor } from "../../../src/secrets/seal.ts";
import { identityOfRunner } from "../../../src/target/identity.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

/** A descriptor from which that text comes. */
function handed(text: string): number {
  const file = join(tempDir(), "stdin");
  writeFileSync(file, text);
  const descriptor = openSync(file, "r");
  onTestFinished(() => closeSync(descriptor));
  return descriptor;
}

it("a runner that is started anew with the same seed opens what was sealed for the one before it", async () => {
  const seed = `${randomBytes(32).toString("base64")}\n`;
  const first = await identityOfRunner(handed(seed));
  const sealed = await sealFor(first.recipient, Buffer.from("secret"));
  const second = await identityOfRunner(handed(seed));
  expect(second.recipient).toBe(first.recipient);
  expect(Buffer.from(await openWith(second.identity, sealed)).toString()).toBe("secret");
  const other = await identityOfRunner(handed(randomBytes(32).toString("base64")));
  await expect(openWith(other.identity, sealed)).rejects.toThrow(/not made for this boot/);
});

it("a runner that gets no seed has a key of its own, and a runner that gets less than a seed is not started", async () => {
  const [one, other] = [await identityOfRunner(handed("")), await identityOfRunner(handed("\n"))];
  expect(one.recipient).not.toBe(other.recipient);
  await expect(identityOfRunner(handed("c2hvcnQ="))).rejects.toThrow(/got 5 bytes/);
});
