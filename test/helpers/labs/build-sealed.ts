// A program: builds a disk with secrets that it opens with an identity, as `imgbuild build --with-secrets` does, and says all that
// there is to say. The command line asks for a kernel where there is a disk; here a small system without is enough.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildImage } from "../../../src/operator/build/image.ts";
import { definitionDigest } from "../../../src/operator/definition/digest.ts";
import { readFiles } from "../../../src/operator/definition/files.ts";
import { makeLockFor, mirrorsFor } from "../../../src/operator/lock/lock.ts";
import { Spec } from "../../../src/schema/spec.ts";
import { openSecretFile } from "../../../src/secrets/open.ts";
import type { Log } from "../../../src/util/log.ts";
import { secretSpec } from "../builders/build-secret.ts";

/** What the definition has besides its disk. */
export const sealedFields = {
  users: { admin: { hashedPasswordSecret: "hash" } },
  secrets: { token: { file: "token.age", path: "/etc/token" }, hash: { file: "hash.age" } },
};

async function main(cache: string, directory: string, identity: string, output: string): Promise<void> {
  const say = (...words: readonly unknown[]) => console.log(...words);
  const log: Log = {
    ...{ info: say, warn: say, progress: say },
    task: async (doing, work) => {
      say(doing);
      return await work(log);
    },
  };
  const options = { cache, env: process.env, log, signal: new AbortController().signal };
  const spec = Spec.parse({ ...secretSpec, ...sealedFields });
  const lock = await makeLockFor(spec, options);
  const files = readFiles(undefined);
  const identities = [readFileSync(identity, "utf8")];
  const opened = Object.keys(spec.secrets).map(
    async (name) =>
      [name, await openSecretFile(join(directory, `${name}.age`), { name, identities })] as const,
  );
  const secrets = new Map(await Promise.all(opened));
  const definition = definitionDigest(spec, lock, files);
  const mirrors = await mirrorsFor(spec, process.env);
  await buildImage(
    { spec, lock, files, filesDir: undefined, secrets, definition, mirrors },
    output,
    "raw",
    options,
  );
  say("done");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [cache, directory, identity, output] = process.argv.slice(2);
  await main(cache!, directory!, identity!, output!);
}
