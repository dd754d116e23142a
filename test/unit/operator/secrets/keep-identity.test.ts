import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { keepIdentity } from "../../../../src/operator/deploy/host-keys.ts";
import { identityKeeper } from "../../../../src/operator/secrets/keep-identity.ts";
import { newIdentity } from "../../../../src/secrets/identity.ts";
import { openWith } from "../../../../src/secrets/seal.ts";
import { machineIdOf } from "../../../../src/steps/tree/finish-tree.ts";
import { readKeptIdentity } from "../../../../src/steps/tree/kept-identity.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";

const spec = serverSpec();
const nonce = "a".repeat(64);
const name = "hostkey:ssh_host_ed25519_key";
const shipped = {
  hostKeys: { secrets: new Map([[name, new Secret(name, Buffer.from("PRIVATE"))]]), pins: [] },
  identity: { nonce } as never,
};

describe("a deploy that is to keep by what the new system is known", () => {
  it("writes host keys and machine-id for the recipients of the directory, and nothing readable", async () => {
    const directory = await mkdtemp(join(tmpdir(), "imgbuild-test-"));
    const { identity, recipient } = await newIdentity();
    await writeFile(join(directory, "recipients"), `# ours\n${recipient}\n`);
    await keepIdentity({ spec }, shipped, { keep: await identityKeeper(directory), log: silentLog });
    const file = await readFile(join(directory, `${spec.hostname}-host-keys.age`));
    expect(file.includes("PRIVATE")).toBe(false);
    const { hostKeys, machineId } = readKeptIdentity(await openWith(identity, file), "file");
    expect(machineId).toBe(machineIdOf(nonce));
    expect(Buffer.from(hostKeys.get(name)!.expose()).toString()).toBe("PRIVATE");
  });

  it("is refused before anything is done where the directory names no recipient, or none that is", async () => {
    const directory = await mkdtemp(join(tmpdir(), "imgbuild-test-"));
    await expect(identityKeeper(directory)).rejects.toThrow(/no recipients to encrypt for/);
    await writeFile(join(directory, "recipients"), "bob\n");
    await expect(identityKeeper(directory)).rejects.toThrow(/bob is no age recipient/);
  });

  it("goes on with a warning where they cannot be written", async () => {
    const warned: string[] = [];
    const log = { ...silentLog, warn: (text: string) => warned.push(text) };
    const keep = async () => {
      throw new Error("disk full");
    };
    await keepIdentity({ spec }, shipped, { keep, log });
    expect(warned).toEqual(["host keys and machine-id are not kept: disk full"]);
  });
});
