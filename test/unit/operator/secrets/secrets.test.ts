import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Encrypter } from "age-encryption";
import { describe, expect, it } from "vitest";
import type { Definition } from "../../../../src/operator/definition/load.ts";
import {
  checkSecrets,
  editSecret,
  identityFiles,
  rekeySecrets,
  revealSecrets,
  showSecret,
} from "../../../../src/operator/secrets/secrets.ts";
import { Spec } from "../../../../src/schema/spec.ts";
import { sealFor } from "../../../../src/secrets/seal.ts";
import { Secret } from "../../../../src/util/secret.ts";
import { generateIdentity } from "../../../helpers/builders/identity.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const text = (secret: Secret | undefined) => Buffer.from(secret?.expose() ?? []).toString();

async function withPassphrase(plain: string): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.setPassphrase("open sesame");
  encrypter.setScryptWorkFactor(10);
  return await encrypter.encrypt(plain);
}

/** A directory of secrets: two for an identity, two for a passphrase. */
async function secretsDir() {
  const dir = tempDir();
  const [mine, other] = [await generateIdentity(), await generateIdentity()];
  writeFileSync(join(dir, "mine.txt"), `# mine\n${mine.identity}\n`);
  writeFileSync(join(dir, "other.txt"), `${other.identity}\n`);
  writeFileSync(join(dir, "recipients"), `# everybody\n${mine.recipient}\n`);
  for (const name of ["a", "b"])
    writeFileSync(join(dir, `${name}.age`), await sealFor(mine.recipient, Buffer.from(`plain ${name}`)));
  for (const name of ["p", "q"])
    writeFileSync(join(dir, `${name}.age`), await withPassphrase(`plain ${name}`));
  const keys = { identityFiles: [join(dir, "mine.txt")] };
  return { dir, mine, other, keys };
}

function definition(dir: string, names: readonly string[]): Definition {
  mkdirSync(join(dir, "web"), { recursive: true });
  const secrets = Object.fromEntries(
    names.map((name) => [name, { file: `../${name}.age`, path: `/etc/${name}` }]),
  );
  const spec = { ...({} as Spec), secrets: Spec.shape.secrets.parse(secrets) };
  return { spec, dir: join(dir, "web"), file: join(dir, "web/IMGBUILD.ts"), unfinished: [] };
}

describe("the files of identities", () => {
  it("are those of the option and of the environment", () => {
    expect(identityFiles({ identity: ["a"] }, { IMGBUILD_IDENTITY: "b::c" })).toEqual(["a", "b", "c"]);
    expect(identityFiles({}, {})).toEqual([]);
  });
});

describe("the secrets of a definition", () => {
  it("are revealed by identity and passphrase, which is asked for once and only when needed", async () => {
    const { dir, keys } = await secretsDir();
    let asked = 0;
    const passphrase = async () => {
      asked += 1;
      return new Secret("answer", Buffer.from("open sesame"));
    };
    const some = await revealSecrets(definition(dir, ["a", "b"]), { ...keys, passphrase });
    expect(asked).toBe(0);
    expect([...some].map(([name, secret]) => [name, text(secret)])).toEqual([
      ["a", "plain a"],
      ["b", "plain b"],
    ]);
    const all = await revealSecrets(definition(dir, ["p", "a", "q"]), { ...keys, passphrase });
    expect(asked).toBe(1);
    expect(text(all.get("q"))).toBe("plain q");
    expect(JSON.stringify([...all])).not.toContain("plain");
  });

  it("are each checked, with what is wrong", async () => {
    const { dir, keys } = await secretsDir();
    const results = await checkSecrets(definition(dir, ["a", "p", "gone"]), keys);
    expect(results.map(({ name, problem }) => [name, problem?.message.replaceAll(dir, "")])).toEqual([
      ["a", undefined],
      ["p", "/p.age is encrypted with a passphrase"],
      ["gone", "no secret file /gone.age"],
    ]);
    await expect(checkSecrets(definition(dir, ["a"]), { identityFiles: ["/nowhere"] })).rejects.toThrow(
      /identity file \/nowhere/,
    );
  });
});

describe("secret files", () => {
  it("are written anew for the recipients beside them, and left when nothing changed", async () => {
    const { dir, keys } = await secretsDir();
    const path = join(dir, "a.age");
    const before = readFileSync(path);
    const same = await editSecret(path, keys, async (present) => (await present!()).expose());
    expect(same).toBe(false);
    expect(Buffer.compare(readFileSync(path), before)).toBe(0);
    expect(await editSecret(path, keys, async () => Buffer.from("new"))).toBe(true);
    expect(text(await showSecret(path, keys))).toBe("new");
    const fresh = join(dir, "fresh.age");
    await editSecret(fresh, { identityFiles: [] }, async (present) =>
      Buffer.from(present === undefined ? "first" : "?"),
    );
    expect(text(await showSecret(fresh, keys))).toBe("first");
    writeFileSync(join(dir, "recipients"), "# nobody\n");
    await expect(editSecret(path, keys, async () => Buffer.from("x"))).rejects.toThrow(/names no recipient/);
    expect(readdirSync(dir).filter((name) => name.endsWith(".new"))).toEqual([]);
  });

  it("are rekeyed together or not at all, passphrases left alone", async () => {
    const { dir, keys, other } = await secretsDir();
    writeFileSync(join(dir, "recipients"), `${other.recipient}\n`);
    const { rekeyed, kept } = await rekeySecrets(dir, keys);
    expect(rekeyed).toEqual([join(dir, "a.age"), join(dir, "b.age")]);
    expect(kept).toEqual([join(dir, "p.age"), join(dir, "q.age")]);
    await expect(showSecret(join(dir, "a.age"), keys)).rejects.toThrow(/no given identity/);
    expect(text(await showSecret(join(dir, "a.age"), { identityFiles: [join(dir, "other.txt")] }))).toBe(
      "plain a",
    );
    await editSecret(join(dir, "b.age"), keys, async () => Buffer.from("for other"));
    const before = readFileSync(join(dir, "b.age"));
    writeFileSync(
      join(dir, "a.age"),
      await sealFor((await generateIdentity()).recipient, Buffer.from("lost")),
    );
    await expect(rekeySecrets(dir, { identityFiles: [join(dir, "other.txt")] })).rejects.toThrow(
      /no given identity opens .*a\.age/,
    );
    expect(Buffer.compare(readFileSync(join(dir, "b.age")), before)).toBe(0);
  });
});
