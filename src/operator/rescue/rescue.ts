import { mkdir, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { keepersFor, withStores } from "../../debian/archive/keepers.ts";
import { epochOf } from "../../debian/lock/lock-date.ts";
import type { Medium } from "../../schema/base/medium.ts";
import { sealWithPassphrase } from "../../secrets/seal.ts";
import { fileDigest } from "../../system/files/file-digest.ts";
import { requireParent } from "../../system/files/parent.ts";
import { inWorkDirectory } from "../../system/files/work-directory.ts";
import { digestOf, sha256 } from "../../util/digest.ts";
import { exitCodes, Fail } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";
import { baseTree, buildBase } from "../base/base.ts";
import { bundleProgram } from "../base/bundle.ts";
import { putInPlace } from "../build/finish-output.ts";
import { refuseOutput } from "../build/image.ts";
import { requireStorage } from "../deploy/inputs.ts";
import { mirrorsFor } from "../lock/lock.ts";
import { type OpenDefinition, openDefinition } from "../lock/open-definition.ts";
import { identityFiles } from "../secrets/secrets.ts";
import type { BaseFiles } from "../takeover/takeover.ts";
import type { VmOptions } from "../vm-runner/vm-run.ts";
import type { TpmOf } from "./host-tpm.ts";
import { type MediumSource, makeIso } from "./iso.ts";
import { keptIdentityFile } from "./kept-identity.ts";
import { type Content, contentOf, mediumArchive, sshKeys } from "./medium-archive.ts";
import { type Entry, kernelWords, mediumMenu, onMedium } from "./menu.ts";
import { makeNetworkFiles } from "./network-files.ts";
import { packOfflineTree } from "./offline-tree.ts";
import type { RescueOptions } from "./rescue-options.ts";
import { sealedIdentity } from "./sealed-identity.ts";
import { type SecureBootFacts, secureBootFacts } from "./secure-boot.ts";
import { unlockFiles, unlockSeals } from "./unlock.ts";
import { parseUnlock } from "./unlock-option.ts";

interface Outside extends VmOptions {
  /** A passphrase for the identity on the medium, or of one that has one. */
  readonly newPassphrase: () => Promise<Secret>;
  readonly passphraseOf: ((of: string) => Promise<Secret>) | undefined;
  readonly tpmOf: TpmOf;
}

interface Made {
  /** The label of an ISO. */
  readonly volume: string | undefined;
  readonly hosts: readonly string[];
  /** What the definitions may be started by. */
  readonly firmware: readonly ("bios" | "uefi")[];
  /** Hosts that SSH will not know again: neither a secret nor an escrow has their keys. */
  readonly newHostKeys: readonly string[];
  /** Of an ISO. */
  readonly bytes?: number;
  readonly secureBoot: SecureBootFacts;
}

/** What a definition brings to the medium. */
interface Part {
  readonly definition: OpenDefinition;
  readonly content: Content;
  /** An offline medium's: what is said of it, and its file, whose name in the work directory is the last of its path. */
  readonly tree: { readonly about: NonNullable<Medium["tree"]>; readonly file: MediumFile } | undefined;
}

type MediumFile = Medium["squashfs"];

/** Makes the medium that rebuilds the definitions' machines, whole or not at all. */
export async function makeRescue(
  paths: readonly string[],
  options: RescueOptions,
  outside: Outside,
): Promise<Made> {
  const { log } = outside;
  const to = resolve(options.output);
  const isDirectory = options.format === "pxe";
  if (isDirectory && options.offline)
    throw new Fail("--offline: a machine that starts from the network has no medium to read a tree from", {
      exitCode: exitCodes.usage,
    });
  const ways = (options.unlock ?? []).map(parseUnlock);
  await refuseOutput(to, isDirectory);
  await requireParent(to);
  const definitions: OpenDefinition[] = [];
  for (const path of paths)
    definitions.push(await openDefinition(path, { log, check: ({ spec }) => requireStorage(spec, path) }));
  refuseSameNames(definitions);
  const seals = await unlockSeals(ways, outside);
  const passphrase = outside.passphraseOf && askedOnce(outside.passphraseOf);
  const secretKeys = { identityFiles: identityFiles(options, outside.env), passphrase };
  const identity = options.withoutIdentity
    ? undefined
    : await sealedIdentity(definitions, {
        files: secretKeys.identityFiles,
        opens: passphrase,
        seal: async (plain) => await sealWithPassphrase(await outside.newPassphrase(), plain),
        log,
      });
  // The base may be of the age of the definitions' locks.
  const env = definitions.reduce((known, one) => withStores(keepersFor(one, known), known), outside.env);
  const base = await buildBase({ ...outside, env });
  const { tree } = await baseTree({ ...outside, env });
  const own = process.umask(0o022);
  try {
    return await inWorkDirectory(to, async (work) => {
      const parts: Part[] = [];
      for (const definition of definitions) {
        const unlock = await unlockFiles(definition, seals, secretKeys, log);
        parts.push(await partOf(definition, identity, { unlock, work, options, outside }));
      }
      return await log.task(`writing ${to}`, () =>
        place(parts, { base, tree, work, to, options, signal: outside.signal }),
      );
    });
  } finally {
    process.umask(own);
  }
}

async function partOf(
  definition: OpenDefinition,
  identity: Uint8Array | undefined,
  how: {
    readonly unlock: ReadonlyMap<string, Uint8Array>;
    readonly work: string;
    readonly options: RescueOptions;
    readonly outside: Outside;
  },
): Promise<Part> {
  const { env, log } = how.outside;
  const { hostname } = definition.spec;
  if (sshKeys(definition).length === 0)
    log.warn(`${hostname}: its definition has no key by which the medium's base could be reached over SSH`);
  const content = await contentOf(definition, await mirrorsFor(definition.spec, env), identity, how.unlock);
  if (!how.options.offline) return { definition, content, tree: undefined };
  const path = onMedium.tree(hostname);
  const file = join(how.work, basename(path));
  const building = join(how.work, `build-${hostname}`);
  await mkdir(building);
  const packed = await log.task(`packing the tree of ${hostname}`, (inner) =>
    packOfflineTree(definition, file, building, { ...how.outside, log: inner }),
  );
  const about = { path, ...packed };
  const { size } = await stat(file);
  return { definition, content, tree: { about, file: { size, sha256: await fileDigest(file) } } };
}

interface Placing {
  readonly base: BaseFiles;
  /** The base's tree. */
  readonly tree: string;
  readonly work: string;
  readonly to: string;
  readonly options: RescueOptions;
  readonly signal: AbortSignal;
}

async function place(parts: readonly Part[], placing: Placing): Promise<Made> {
  const { base, tree, work, to, options, signal } = placing;
  const program = await bundleProgram("rescue.ts");
  const unattended = options.unattended === true;
  const shared = { program, unattended, squashfs: fileOf(base.squashfs) };
  const ofBase = [
    { path: onMedium.kernel, info: base.kernel },
    { path: onMedium.outer, info: base.outer },
    { path: onMedium.squashfs, info: base.squashfs },
  ];
  const definitions = parts.map(({ definition }) => definition);
  const strangers = definitions.filter(
    (one) => typeof one.spec.hostKeys !== "object" && keptIdentityFile(one) === undefined,
  );
  const about = {
    hosts: definitions.map(({ spec }) => spec.hostname),
    firmware: [...new Set(definitions.flatMap(({ spec }) => spec.boot?.firmware ?? []))],
    newHostKeys: strangers.map(({ spec }) => spec.hostname),
    secureBoot: secureBootFacts(tree),
  };
  const made = join(work, options.format === "pxe" ? "pxe" : "medium.iso");
  if (options.format === "pxe") {
    const nothing = { ...shared, volume: undefined, files: {} };
    const entries = await Promise.all(parts.map((part) => entryOf(part, nothing)));
    await makeNetworkFiles(entries, made, { ...pathsOf(base), tree });
    await putInPlace(made, to, { checksum: false, work });
    return { ...about, volume: undefined };
  }
  const volume = volumeOf(parts, [base.digest, sha256(program), unattended]);
  const files = Object.fromEntries(ofBase.map(({ path, info }) => [path, fileOf(info)]));
  const entries = await Promise.all(parts.map((part) => entryOf(part, { ...shared, volume, files })));
  const sources: MediumSource[] = ofBase.map(({ path, info }) => ({
    path,
    name: basename(info.path),
    ofBase: true,
  }));
  for (const { hostname, archive } of entries) {
    const name = `${hostname}.cpio`;
    await writeFile(join(work, name), archive);
    sources.push({ path: onMedium.archive(hostname), name });
  }
  for (const { tree: offline } of parts)
    if (offline !== undefined) sources.push({ path: offline.about.path, name: basename(offline.about.path) });
  const epoch = Math.max(...parts.map(({ definition }) => epochOf(definition.lock)));
  const menu = mediumMenu(entries, volume);
  await makeIso(sources, made, { menu, volume, epoch, tree, base: dirname(base.kernel.path), work, signal });
  const { size } = await stat(made);
  await putInPlace(made, to, { checksum: false, work });
  return { ...about, volume, bytes: size };
}

/** The label by which GRUB and the base find the medium: another content has another. */
function volumeOf(parts: readonly Part[], shared: unknown[]): string {
  const own = parts.map(({ definition, content, tree }) => [definition.digest, content.digest, tree ?? null]);
  return `IMGBUILD_${digestOf([...shared, own])
    .slice(0, 16)
    .toUpperCase()}`;
}

async function entryOf(
  { definition, content, tree }: Part,
  shared: Omit<Parameters<typeof mediumArchive>[2], "tree">,
): Promise<Entry & { readonly archive: Uint8Array }> {
  const files = tree === undefined ? shared.files : { ...shared.files, [tree.about.path]: tree.file };
  const { archive, word } = await mediumArchive(definition, content, { ...shared, files, tree: tree?.about });
  const { hostname, boot } = definition.spec;
  return { hostname, archive, cmdline: kernelWords(boot?.consoles, word) };
}

/** An identity's passphrase is asked for once, however often it is opened. */
export function askedOnce(ask: (of: string) => Promise<Secret>): (of: string) => Promise<Secret> {
  const asked = new Map<string, Promise<Secret>>();
  return (of) => {
    const answer = asked.get(of) ?? ask(of);
    asked.set(of, answer);
    return answer;
  };
}

function fileOf({ size, sha256: digest }: BaseFiles["kernel"]): MediumFile {
  return { size, sha256: digest };
}

function pathsOf({ kernel, outer, squashfs }: BaseFiles) {
  return { kernel: kernel.path, outer: outer.path, squashfs: squashfs.path };
}

function refuseSameNames(definitions: readonly OpenDefinition[]): void {
  const names = definitions.map(({ spec }) => spec.hostname);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new Fail(`two of the definitions have the hostname ${twice}, by which the menu names them`, {
      hint: "make a medium for each",
    });
}
