import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { armor, Encrypter } from "age-encryption";
import { describe, expect, it } from "vitest";
import { openSecretFile } from "../../../src/secrets/open.ts";
import { openWith, sealFor, sealForAll } from "../../../src/secrets/seal.ts";
import { Secret } from "../../../src/util/secret.ts";
import { generateIdentity } from "../../helpers/builders/identity.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const plain = Buffer.from("open sesame\n");
const text = (secret: Secret) => Buffer.from(secret.expose()).toString();

function file(bytes: Uint8Array | string): string {
  const path = join(tempDir(), "s.age");
  writeFileSync(path, bytes);
  return path;
}

async function withPassphrase(passphrase: string): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase);
  encrypter.setScryptWorkFactor(10);
  return await encrypter.encrypt(plain);
}

describe("sealing", () => {
  it("is opened by the identity it was made for, and by no other", async () => {
    const [mine, other] = [await generateIdentity(), await generateIdentity()];
    const sealed = await sealFor(mine.recipient, plain);
    expect(Buffer.from(await openWith(mine.identity, sealed)).toString()).toBe("open sesame\n");
    await expect(openWith(other.identity, sealed)).rejects.toThrow(/not made for this boot/);
    await expect(openWith(mine.identity, sealed.subarray(0, -1))).rejects.toThrow(/damaged/);
    await expect(sealForAll(["age1nonsense"], plain)).rejects.toThrow(/no age recipient/);
  });
});

describe("a secret file", () => {
  it("opens with one of several identities, binary or armored", async () => {
    const [mine, other] = [await generateIdentity(), await generateIdentity()];
    const sealed = await sealFor(mine.recipient, plain);
    const identities = [`# other\n${other.identity}\n`, `# mine\r\n${mine.identity}\r\n`];
    for (const bytes of [sealed, armor.encode(sealed), `\n  ${armor.encode(sealed)}`])
      expect(text(await openSecretFile(file(bytes), { name: "s", identities }))).toBe("open sesame\n");
  });

  it("names what is missing when it does not open", async () => {
    const [mine, other] = [await generateIdentity(), await generateIdentity()];
    const path = file(await sealFor(mine.recipient, plain));
    const open = (identities: string[], at = path) => openSecretFile(at, { name: "s", identities });
    await expect(open([other.identity])).rejects.toMatchObject({
      message: `no given identity opens ${path}`,
      hint: expect.stringMatching(/--identity/),
    });
    await expect(open([])).rejects.toMatchObject({
      message: `no identity was given to open ${path}`,
      hint: expect.stringMatching(/--identity/),
    });
    const others = ["ssh-ed25519 AAAA", "", "# only a comment\n", `${mine.identity}\nssh-ed25519 AAAA\n`];
    for (const identity of others)
      await expect(open([identity]), identity).rejects.toThrow(/other lines than AGE-SECRET-KEY/);
    await expect(open([mine.identity], "/nowhere/s.age")).rejects.toMatchObject({
      message: "no secret file /nowhere/s.age",
      hint: expect.stringMatching(/secrets edit/),
    });
    await expect(open([mine.identity], dirname(path))).rejects.toThrow(/^\/.* cannot be read: /);
    // Refused before anything reads it as armor.
    const refusal = await open([mine.identity], file("user:password")).catch((error: Error) => error);
    expect(refusal).toMatchObject({ message: expect.stringMatching(/not an age file/) });
    expect((refusal as Error).cause).toBeUndefined();
    await expect(open([mine.identity], file("-----BEGIN AGE ENCRYPTED FILE-----\nx"))).rejects.toThrow(
      /not an age file/,
    );
  });

  it("does not show a damaged identity in its failure", async () => {
    const mine = await generateIdentity();
    const broken = `${mine.identity.slice(0, -4)}QQQQ`;
    const error = await openSecretFile(file(await sealFor(mine.recipient, plain)), {
      name: "s",
      identities: [broken],
    }).catch((thrown: Error) => thrown);
    expect((error as Error).message).toMatch(/damaged AGE-SECRET-KEY/);
    expect(JSON.stringify([(error as Error).message, String((error as Error).cause)])).not.toContain(
      broken.slice(20),
    );
  });

  it("asks for a passphrase only where one is needed", async () => {
    const path = file(await withPassphrase("right"));
    const answer = (value: string) => async () => new Secret("answer", Buffer.from(value));
    expect(text(await openSecretFile(path, { name: "s", identities: [], passphrase: answer("right") }))).toBe(
      "open sesame\n",
    );
    await expect(
      openSecretFile(path, { name: "s", identities: [], passphrase: answer("wrong") }),
    ).rejects.toMatchObject({
      message: `the passphrase does not open ${path}`,
      hint: expect.stringMatching(/--passphrase/),
    });
    await expect(openSecretFile(path, { name: "s", identities: [] })).rejects.toMatchObject({
      hint: expect.stringMatching(/--passphrase/),
    });
  });

  it("is refused within moments, whatever was done to it (F29)", async () => {
    const mine = await generateIdentity();
    const sealed = Buffer.from(await sealFor(mine.recipient, plain));
    const flipped = (at: number) => {
      const bytes = Buffer.from(sealed);
      bytes[at] = bytes[at]! ^ 1;
      return bytes;
    };
    const scrypt = Buffer.from(await withPassphrase("right")).toString("latin1");
    // A stanza for a passphrase may have no other one beside it.
    const mixed = sealed
      .toString("latin1")
      .replace("\n-> ", `${/\n-> scrypt [^>]*(?=\n---)/.exec(scrypt)![0]}\n-> `);
    const armored = armor.encode(sealed);
    const damaged: [string, Uint8Array | string][] = [
      ["empty", ""],
      ["cut in its header", sealed.subarray(0, 60)],
      ["cut in its content", sealed.subarray(0, -1)],
      ["with more behind it", Buffer.concat([sealed, Buffer.from("x")])],
      ["with another bit in its header", flipped(40)],
      ["with another bit in its content", flipped(sealed.length - 3)],
      ["for a passphrase and an identity", Buffer.from(mixed, "latin1")],
      ["with two armors", `${armored}\n${armored}`],
      // 2^30 would take a terabyte of memory and hours.
      ["with a huge work factor", Buffer.from(scrypt.replace(/(-> scrypt \S+) 10\n/, "$1 30\n"), "latin1")],
    ];
    for (const [what, bytes] of damaged) {
      const opening = openSecretFile(file(bytes), {
        name: "s",
        identities: [mine.identity],
        passphrase: async () => new Secret("answer", Buffer.from("right")),
      });
      await expect(opening, what).rejects.toMatchObject({ name: "Fail" });
    }
    const cut = openSecretFile(file(sealed.subarray(0, -1)), { name: "s", identities: [mine.identity] });
    await expect(cut).rejects.toMatchObject({
      message: expect.stringMatching(/s\.age is damaged: /),
      hint: "restore it from version control",
    });
  });

  it("opens with lines that end as on Windows (F29)", async () => {
    const mine = await generateIdentity();
    const bytes = armor.encode(await sealFor(mine.recipient, plain)).replaceAll("\n", "\r\n");
    expect(text(await openSecretFile(file(bytes), { name: "s", identities: [mine.identity] }))).toBe(
      "open sesame\n",
    );
  });
});
