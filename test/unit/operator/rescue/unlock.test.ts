import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Encrypter } from "age-encryption";
import { describe, expect, it } from "vitest";
import type { Definition } from "../../../../src/operator/definition/load.ts";
import { keptIdentityFile } from "../../../../src/operator/rescue/kept-identity.ts";
import { unlockFiles, unlockSeals } from "../../../../src/operator/rescue/unlock.ts";
import { openBytes } from "../../../../src/secrets/open.ts";
import { sealFor } from "../../../../src/secrets/seal.ts";
import { openByTang, sealForTang } from "../../../../src/secrets/tang.ts";
import { keptIdentityName } from "../../../../src/steps/tree/kept-identity.ts";
import { plainLog, silentLog } from "../../../../src/util/log.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";
import { generateIdentity } from "../../../helpers/builders/identity.ts";
import { fakeTang } from "../../../helpers/fakes/fake-tang.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const thumbprint = "LtFgu40PBYJTVpmvMyxidfQ1itT1NRRgFfsJ61GKag4";
const advertisement = "test/fixtures/tang-advertisement.jws";
const { signal } = new AbortController();
const outside = {
  ...{ log: silentLog, signal },
  tpmOf: async () => {
    throw new Error("a TPM was asked");
  },
};

/** A definition with a secret for an identity, one with a passphrase of its own, and host keys of before. */
async function definition() {
  const dir = tempDir();
  const { identity, recipient } = await generateIdentity();
  mkdirSync(join(dir, "secrets"));
  const put = (name: string, bytes: Uint8Array) => writeFileSync(join(dir, "secrets", name), bytes);
  put("token.age", await sealFor(recipient, Buffer.from("s3cret")));
  const own = new Encrypter();
  own.setPassphrase("own");
  own.setScryptWorkFactor(10);
  put("own.age", await own.encrypt("owned"));
  const spec = serverSpec({
    secrets: {
      token: { file: "secrets/token.age", path: "/etc/token" },
      own: { file: "secrets/own.age", path: "/etc/own" },
    },
  });
  put(keptIdentityName(spec.hostname), await sealFor(recipient, Buffer.from("kept keys")));
  writeFileSync(join(dir, "identity.txt"), `${identity}\n`);
  const of: Definition = { spec, dir, file: "IMGBUILD.ts", unfinished: [] };
  return { of, keys: { identityFiles: [join(dir, "identity.txt")] }, identity };
}

function logged() {
  const lines: string[] = [];
  return { log: plainLog({ write: (line) => void lines.push(line) }, () => 0), text: () => lines.join("") };
}

describe("what opens a medium with nothing typed", () => {
  it("is an identity of its own, for which the secrets and host keys are encrypted again", async () => {
    const { of, keys, identity } = await definition();
    const tang = fakeTang();
    const { url } = tang.keys;
    const seal = (plain: Uint8Array) => ({
      type: "tang" as const,
      url,
      sealed: sealForTang(tang.keys, plain),
    });
    const { log, text } = logged();
    const files = await unlockFiles(of, [seal], keys, log);
    expect([...files.keys()].sort()).toEqual([
      "unlock.json",
      "unlock/host-keys.age",
      "unlock/secrets/token.age",
    ]);
    expect(text()).toContain("the secret own has a passphrase of its own, which is asked for all the same");
    const [way] = JSON.parse(Buffer.from(files.get("unlock.json")!).toString());
    const opened = Buffer.from(await openByTang(way.sealed, tang.exchange)).toString();
    expect(opened).toMatch(/^AGE-SECRET-KEY-1/);
    expect(opened).not.toBe(identity);
    const plain = async (path: string, by = opened) =>
      Buffer.from(
        (await openBytes(files.get(path)!, path, { identities: [by], name: "s" })).expose(),
      ).toString();
    expect(await plain("unlock/secrets/token.age")).toBe("s3cret");
    expect(await plain("unlock/host-keys.age")).toBe("kept keys");
    // It opens nothing of the repository, and the repository's identity nothing of it.
    await expect(plain("unlock/secrets/token.age", identity)).rejects.toThrow("no given identity opens");
    const sealed = readFileSync(keptIdentityFile(of)!);
    await expect(openBytes(sealed, "kept", { identities: [opened], name: "s" })).rejects.toThrow("no given");
  });

  it("is nothing where no way is named, or nothing is secret", async () => {
    const { of, keys } = await definition();
    const seal = () => {
      throw new Error("it was sealed");
    };
    expect((await unlockFiles(of, [], keys, silentLog)).size).toBe(0);
    const bare = { ...of, spec: serverSpec({ hostname: "bare" }) };
    expect((await unlockFiles(bare, [seal], keys, silentLog)).size).toBe(0);
  });

  it("takes a tang server's keys from a file, if it signed them with the named key", async () => {
    const option = { type: "tang" as const, url: "http://192.0.2.10", thumbprint, adv: advertisement };
    const [seal] = await unlockSeals([option], outside);
    const way = seal!(Buffer.from("x"));
    expect(way).toMatchObject({ type: "tang", url: "http://192.0.2.10" });
    const other = { ...option, thumbprint: thumbprint.replace("L", "M") };
    await expect(unlockSeals([other], outside)).rejects.toThrow("names no signing key");
    const absent = { ...option, adv: join(tempDir(), "no.jws") };
    await expect(unlockSeals([absent], outside)).rejects.toThrow("cannot be read");
  });
});
