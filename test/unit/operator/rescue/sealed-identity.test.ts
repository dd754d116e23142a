import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Decrypter } from "age-encryption";
import { describe, expect, it } from "vitest";
import type { Definition } from "../../../../src/operator/definition/load.ts";
import { sealedIdentity } from "../../../../src/operator/rescue/sealed-identity.ts";
import { Spec } from "../../../../src/schema/spec.ts";
import { sealFor } from "../../../../src/secrets/seal.ts";
import { silentLog } from "../../../../src/util/log.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { generateIdentity, sealLightly } from "../../../helpers/builders/identity.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const passphrase = new Secret("passphrase", Buffer.from("open sesame"));

const seal = (plain: Uint8Array) => sealLightly("open sesame", plain);

/** A definition with that many secrets for an identity, in files of this name. */
async function withSecrets(dir: string, name: string, count = 1) {
  const { identity, recipient } = await generateIdentity();
  mkdirSync(join(dir, name));
  const secrets: Record<string, { file: string }> = {};
  for (let index = 0; index < count; index += 1) {
    secrets[`s${index}`] = { file: `s${index}.age` };
    writeFileSync(join(dir, name, `s${index}.age`), await sealFor(recipient, Buffer.from("plain")));
  }
  const file = join(dir, `${name}.txt`);
  writeFileSync(file, `# of ${name}\n${identity}\n`);
  const spec = { ...({} as Spec), secrets: Spec.shape.secrets.parse(secrets) };
  const definition: Definition = { spec, dir: join(dir, name), file: "IMGBUILD.ts", unfinished: [] };
  return { definition, file, identity };
}

const ways = (files: readonly string[], opens = true) => ({
  ...{ files, log: silentLog, seal },
  opens: opens ? async () => passphrase : undefined,
});

async function opened(sealed: Uint8Array | undefined): Promise<string> {
  const decrypter = new Decrypter();
  decrypter.addPassphrase("open sesame");
  return await decrypter.decrypt(sealed!, "text");
}

describe("the identity on a medium", () => {
  it("is encrypted by the passphrase, without comments", async () => {
    const { definition, file, identity } = await withSecrets(tempDir(), "web");
    const sealed = await sealedIdentity([definition], ways([file]));
    expect(Buffer.from(sealed!).includes("AGE-SECRET-KEY")).toBe(false);
    expect(await opened(sealed)).toBe(`${identity}\n`);
  });

  it("is the only file of several that opens all, else all together", async () => {
    const dir = tempDir();
    const [web, db] = [await withSecrets(dir, "web"), await withSecrets(dir, "db")];
    const files = [db.file, web.file];
    expect(await opened(await sealedIdentity([web.definition], ways(files)))).toBe(`${web.identity}\n`);
    const both = await opened(await sealedIdentity([web.definition, db.definition], ways(files)));
    expect(both.trim().split("\n").sort()).toEqual([web.identity, db.identity].sort());
  });

  it("goes as it is where a passphrase opens it already, and is tried", async () => {
    const dir = tempDir();
    const { definition, file } = await withSecrets(dir, "web");
    const locked = join(dir, "locked.age");
    writeFileSync(locked, await seal(readFileSync(file)));
    for (const opens of [true, false]) {
      const sealed = await sealedIdentity([definition], ways([locked], opens));
      expect(Buffer.from(sealed!).equals(readFileSync(locked))).toBe(true);
    }
    const wrong = { ...ways([locked]), opens: async () => new Secret("p", Buffer.from("other")) };
    await expect(sealedIdentity([definition], wrong)).rejects.toThrow(/passphrase does not open/);
  });

  it("is not there where no secret needs it", async () => {
    const dir = tempDir();
    const none = await withSecrets(dir, "none", 0);
    expect(await sealedIdentity([none.definition], ways([]))).toBeUndefined();
    const own = await withSecrets(dir, "own");
    writeFileSync(join(dir, "own/s0.age"), await seal(Buffer.from("plain")));
    expect(await sealedIdentity([own.definition], ways([]))).toBeUndefined();
  });

  it("is refused where none is given, where none opens a secret, and where it is an SSH key", async () => {
    const dir = tempDir();
    const [web, db] = [await withSecrets(dir, "web"), await withSecrets(dir, "db")];
    await expect(sealedIdentity([web.definition], ways([]))).rejects.toThrow(/no identity was given/);
    await expect(sealedIdentity([web.definition], ways([db.file]))).rejects.toThrow(
      /no given identity opens/,
    );
    const ssh = join(dir, "ssh");
    writeFileSync(ssh, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    await expect(sealedIdentity([web.definition], ways([ssh]))).rejects.toThrow(/not an SSH key/);
  });
});
