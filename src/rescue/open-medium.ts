import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readPayload } from "../archive/payload.ts";
import { parseLock } from "../debian/lock/lock.ts";
import type { PlanInputs } from "../operator/plan/plan.ts";
import { Medium, MediumUnlock, mediumContent, mediumWord } from "../schema/base/medium.ts";
import { Spec } from "../schema/spec.ts";
import { checkDeployData } from "../target/open-payload.ts";
import { Fail, messageOf } from "../util/fail.ts";

const remake = "make the medium anew: imgbuild rescue DEF -o FILE";

/** What came with the base: the definition, and its secrets as they are in its repository, encrypted. */
export interface OpenMedium extends Omit<PlanInputs, "base"> {
  readonly medium: Medium;
  /** Names of archives → addresses of mirrors. */
  readonly mirrors: Readonly<Record<string, string[]>>;
  /** Files as the runner gets them: `files/…` and `debs/…`. */
  readonly carried: ReadonlyMap<string, Uint8Array>;
  /** Age files by the names of the secrets. */
  readonly sealed: ReadonlyMap<string, Uint8Array>;
  /** An age file that a passphrase opens: the identity for the secrets. */
  readonly identity: Uint8Array | undefined;
  /** Another, as `steps/tree/kept-identity` has it: host keys and machine-id of before. */
  readonly kept: Uint8Array | undefined;
  /** What opens the secrets with nothing typed, and the same secrets for the identity that it opens. */
  readonly unlock: Unlock | undefined;
}

interface Unlock extends Pick<OpenMedium, "sealed" | "kept"> {
  readonly ways: readonly MediumUnlock[];
}

/** Reads what the boot entry brought along. Damage of any of it is a Fail. */
export async function openMedium(directory: string, commandLine: string): Promise<OpenMedium> {
  const came = await readFile(join(directory, "medium.json"));
  checkDeployData(came, commandLine, mediumWord);
  const medium = Medium.parse(JSON.parse(came.toString("utf8")));
  const { publicKey, nonce } = medium;
  const packed = await readFile(join(directory, "medium.tar.gz"));
  // Of any machine and any age: a disaster is when the machine is another, and years later.
  const { files } = await readPayload(packed, { publicKey, nonce, machine: { macs: [] }, now: undefined });
  try {
    return contentOf(medium, files);
  } catch (error) {
    throw new Fail(`what the medium holds cannot be read: ${messageOf(error)}`, {
      cause: error,
      hint: remake,
    });
  }
}

function contentOf(medium: Medium, files: ReadonlyMap<string, Uint8Array>): OpenMedium {
  const text = (path: string) => {
    const bytes = files.get(path);
    if (bytes === undefined) throw new Fail(`the medium has no ${path}`, { hint: remake });
    return Buffer.from(bytes).toString("utf8");
  };
  const json = (path: string) => JSON.parse(text(path)) as unknown;
  const below = (place: string) =>
    [...files]
      .filter(([path]) => path.startsWith(place))
      .map(([path, bytes]) => [path.slice(place.length), bytes] as const);
  const executable = new Set(json(mediumContent.executable) as string[]);
  const mode = (path: string) => (executable.has(path) ? 0o755 : 0o644);
  return {
    medium,
    spec: Spec.parse(json(mediumContent.spec)),
    lock: parseLock(text(mediumContent.lock)),
    definition: medium.definition,
    files: new Map(below("files").map(([path, bytes]) => [path, { bytes, mode: mode(path) }])),
    links: json(mediumContent.links) as OpenMedium["links"],
    mirrors: json(mediumContent.mirrors) as OpenMedium["mirrors"],
    carried: new Map([...files].filter(([path]) => /^(files|debs)\//.test(path))),
    ...sealedIn(files, ""),
    identity: files.get(mediumContent.identity),
    unlock: files.has(mediumContent.unlock)
      ? {
          ways: z.array(MediumUnlock).parse(json(mediumContent.unlock)),
          ...sealedIn(files, mediumContent.unlocked),
        }
      : undefined,
  };
}

/** Age files by the names of the secrets, and that of the host keys. */
function sealedIn(
  files: ReadonlyMap<string, Uint8Array>,
  place: string,
): Pick<OpenMedium, "sealed" | "kept"> {
  const secrets = `${place}${mediumContent.secrets}`;
  const sealed = [...files]
    .filter(([path]) => path.startsWith(secrets))
    .map(([path, bytes]) => [path.slice(secrets.length).replace(/\.age$/, ""), bytes] as const);
  return { sealed: new Map(sealed), kept: files.get(`${place}${mediumContent.hostKeys}`) };
}
