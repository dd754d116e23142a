import { resolve } from "node:path";
import { isPassphraseFile, readAgeFile } from "../../secrets/open.ts";
import { Fail } from "../../util/fail.ts";
import type { Log } from "../../util/log.ts";
import type { Secret } from "../../util/secret.ts";
import type { Definition } from "../definition/load.ts";
import { checkSecrets } from "../secrets/secrets.ts";
import { identityLinesOf, isLockedIdentity, readIdentityFile } from "./identity-file.ts";
import { keptIdentityFile } from "./kept-identity.ts";

/** How an identity gets onto a medium. */
interface IdentityWays {
  readonly files: readonly string[];
  /** The passphrase of a file that is encrypted already, to see that it opens the secrets; undefined: it is not tried. */
  readonly opens: ((of: string) => Promise<Secret>) | undefined;
  /** Encrypts what is plain by a passphrase. */
  readonly seal: (plain: Uint8Array) => Promise<Uint8Array>;
  readonly log: Log;
}

/**
 * An age identity that opens the secrets of the definitions, encrypted by a passphrase: as it is where it is so already. Undefined
 * where there is nothing that needs it. A plain identity is never given back.
 */
export async function sealedIdentity(
  definitions: readonly Definition[],
  ways: IdentityWays,
): Promise<Uint8Array | undefined> {
  const wanting = (await Promise.all(definitions.map(withIdentitySecrets))).filter(
    (one) => Object.keys(one.spec.secrets).length > 0 || keptIdentityFile(one) !== undefined,
  );
  if (wanting.length === 0) return undefined;
  if (ways.files.length === 0)
    throw new Fail("no identity was given to open the secrets when the machine is rebuilt", {
      hint: "name your age identity file by --identity FILE or in IMGBUILD_IDENTITY",
    });
  const kinds = await Promise.all(
    ways.files.map(async (path) => ({ path, text: await readIdentityFile(path) })),
  );
  const locked = kinds.filter(({ text }) => isLockedIdentity(text)).map(({ path }) => path);
  const plain = kinds.filter(({ text }) => /^AGE-SECRET-KEY-/m.test(text));
  for (const path of locked) {
    const problem = ways.opens === undefined ? undefined : await problemWith(wanting, [path], ways.opens);
    if (problem === undefined) {
      if (ways.opens === undefined)
        ways.log.warn(`${path} goes onto the medium as it is; whether it opens the secrets was not tried`);
      return await readAgeFile(path);
    }
    if (path === locked.at(-1) && plain.length === 0) throw problem;
  }
  if (plain.length === 0)
    throw new Fail(`${ways.files.join(", ")}: a medium takes an age identity alone, not an SSH key`, {
      hint: "make one with `imgbuild secrets keygen`, add its recipient to secrets/recipients, and run `imgbuild secrets rekey`",
    });
  const texts = await fewest(wanting, plain);
  return await ways.seal(Buffer.from(identityLinesOf(texts)));
}

/** The first file that opens all, else all files together. */
async function fewest(
  wanting: readonly Definition[],
  plain: readonly { readonly path: string; readonly text: string }[],
): Promise<string[]> {
  for (const { path, text } of plain) if ((await problemWith(wanting, [path])) === undefined) return [text];
  const problem = await problemWith(
    wanting,
    plain.map(({ path }) => path),
  );
  if (problem !== undefined) throw problem;
  return plain.map(({ text }) => text);
}

async function problemWith(
  definitions: readonly Definition[],
  identityFiles: readonly string[],
  passphrase?: (of: string) => Promise<Secret>,
): Promise<Fail | undefined> {
  for (const definition of definitions) {
    const results = await checkSecrets(definition, { identityFiles, passphrase });
    const failed = results.find(({ problem }) => problem !== undefined);
    if (failed?.problem !== undefined) return failed.problem;
  }
  return undefined;
}

/** Without the secrets that a passphrase of their own opens. */
export async function withIdentitySecrets(definition: Definition): Promise<Definition> {
  const { spec, dir } = definition;
  const secrets: (typeof spec)["secrets"] = {};
  for (const [name, secret] of Object.entries(spec.secrets))
    if (!isPassphraseFile(await readAgeFile(resolve(dir, secret.file)))) secrets[name] = secret;
  return { ...definition, spec: { ...spec, secrets } };
}
