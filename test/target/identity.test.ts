import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openWith, sealFor } from "../../src/secrets/seal.ts";
import { identityOfBoot } from "../../src/target/identity.ts";
import { tempDir } from "../helpers/temp-dir.ts";

it("a runner that is started anew opens what was sealed for the one before it", async () => {
  const file = join(tempDir(), "identity");
  const first = await identityOfBoot(file);
  const sealed = await sealFor(first.recipient, Buffer.from("secret"));
  const second = await identityOfBoot(file);
  expect(second).toEqual(first);
  expect(Buffer.from(await openWith(second.identity, sealed)).toString()).toBe("secret");
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

it("two boots have different ones", async () => {
  const [one, other] = [
    await identityOfBoot(join(tempDir(), "i")),
    await identityOfBoot(join(tempDir(), "i")),
  ];
  expect(one.recipient).not.toBe(other.recipient);
});
