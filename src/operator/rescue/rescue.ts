import { mkdir, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { epochOf } from "../../debian/lock/lock-date.ts";
import type { Medium } from "../../schema/base/medium.ts";
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
import { type MediumSource, makeIso } from "./iso.ts";
import { type Content, contentOf, mediumArchive, sshKeys } from "./medium-archive.ts";
import { type Entry, kernelWords, mediumMenu, onMedium } from "./menu.ts";
import { makeNetworkFiles } from "./network-files.ts";
import { packOfflineTree } from "./offline-tree.ts";
import type { RescueOptions } from "./rescue-options.ts";
import { sealedIdentity } from "./sealed-identity.ts";
import { type SecureBootFacts, secureBootFacts } from "./secure-boot.ts";

interface Outside extends VmOptions {
  /** A passphrase for the identity on the medium, or of one that has one. */
  readonly newPassphrase: () => Promise<Secret>;
  readonly passphraseOf: ((of: string) => Promise<Secret>) | undefined;
}

interface Made {
  readonly volume: string | undefined;
  readonly hosts: readonly string[];
  readonly bytes: number;
  readonly secureBoot: SecureBootFacts;
}

/** What a definition brings to the medium. */
interface Part {
  readonly definition: OpenDefinition;
  readonly content: Content;
  readonly tree: Medium["tree"];
}

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
  await refuseOutput(to, isDirectory);
  await requireParent(to);
  const definitions: OpenDefinition[] = [];
  for (const path of paths)
    definitions.push(await openDefinition(path, { log, check: ({ spec }) => requireStorage(spec, path) }));
  refuseSameNames(definitions);
  const identity = await sealedIdentity(definitions, {
    files: identityFiles(options, outside.env),
    opens: outside.passphraseOf,
    seals: outside.newPassphrase,
    log,
  });
  const base = await buildBase(outside);
  const { tree } = await baseTree(outside);
  const own = process.umask(0o022);
  try {
    return await inWorkDirectory(to, async (work) => {
      const parts: Part[] = [];
      for (const definition of definitions)
        parts.push(await partOf(definition, identity, { work, options, outside }));
      return await log.task(`writing ${to}`, () => place(parts, { base, tree, work, to, options, outside }));
    });
  } finally {
    process.umask(own);
  }
}

async function partOf(
  definition: OpenDefinition,
  identity: Uint8Array | undefined,
  how: { readonly work: string; readonly options: RescueOptions; readonly outside: Outside },
): Promise<Part> {
  const { env, log } = how.outside;
  const { hostname } = definition.spec;
  if (sshKeys(definition).length === 0)
    log.warn(`${hostname}: no key of the definition's administrators opens the medium's base by SSH`);
  const content = await contentOf(definition, await mirrorsFor(definition.spec, env), identity);
  if (!how.options.offline) return { definition, content, tree: undefined };
  const { seed } = await log.task(`packing the tree of ${hostname}`, (inner) =>
    packOfflineTree(definition, join(how.work, treeName(hostname)), { ...how.outside, log: inner }),
  );
  return { definition, content, tree: { path: onMedium.tree(hostname), seed } };
}

interface Placing {
  readonly base: BaseFiles;
  readonly tree: string;
  readonly work: string;
  readonly to: string;
  readonly options: RescueOptions;
  readonly outside: Outside;
}

async function place(parts: readonly Part[], placing: Placing): Promise<Made> {
  const { base, tree, work, to, options, outside } = placing;
  const isDirectory = options.format === "pxe";
  const program = await bundleProgram("rescue.ts");
  const unattended = options.unattended === true;
  const squashfs = fileOf(base.squashfs);
  const ofBase = {
    [onMedium.kernel]: base.kernel,
    [onMedium.outer]: base.outer,
    [onMedium.squashfs]: base.squashfs,
  };
  const trees = new Map<string, Medium["squashfs"]>();
  for (const { definition, tree: offline } of parts)
    if (offline !== undefined)
      trees.set(offline.path, await mediumFile(join(work, treeName(definition.spec.hostname))));
  const identifying = [
    base.digest,
    sha256(program),
    unattended,
    [...trees].sort(),
    parts.map(({ content, definition }) => [definition.digest, content.digest]),
  ];
  const volume = isDirectory ? undefined : `IMGBUILD_${digestOf(identifying).slice(0, 16).toUpperCase()}`;
  const entries: (Entry & { readonly archive: Uint8Array })[] = [];
  for (const { definition, content, tree: offline } of parts) {
    const { hostname, boot } = definition.spec;
    const files = Object.fromEntries([
      ...(isDirectory
        ? []
        : Object.entries(ofBase).map(
            ([path, { size, sha256: digest }]) => [path, { size, sha256: digest }] as const,
          )),
      ...(offline === undefined ? [] : [[offline.path, trees.get(offline.path)!] as const]),
    ]);
    const about = { volume, tree: offline, files, squashfs, unattended, program };
    const { archive, word } = await mediumArchive(definition, content, about);
    entries.push({ hostname, archive, cmdline: kernelWords(boot?.consoles, word) });
  }
  const epoch = Math.max(...parts.map(({ definition }) => epochOf(definition.lock)));
  const made = join(work, isDirectory ? "pxe" : "medium.iso");
  if (volume === undefined) {
    await mkdir(made);
    const { kernel, outer, squashfs: archive } = base;
    const from = { kernel: kernel.path, outer: outer.path, squashfs: archive.path, tree };
    await makeNetworkFiles(entries, made, from);
  } else {
    const sources = [
      ...Object.entries(ofBase).map(([path, { path: from }]) => ({
        path,
        name: from.split("/").at(-1)!,
        ofBase: true,
      })),
      ...(await saveArchives(entries, work)),
      ...[...trees.keys()].map((path) => ({ path, name: treeName(path.split("/").at(-2)!) })),
    ];
    const menu = mediumMenu(entries, volume);
    const directory = dirname(base.kernel.path);
    await makeIso(sources, { menu, volume, epoch, tree, base: directory, work, signal: outside.signal });
  }
  const { size } = await stat(made);
  await putInPlace(made, to, { checksum: false, work });
  return {
    volume,
    hosts: entries.map(({ hostname }) => hostname),
    bytes: size,
    secureBoot: secureBootFacts(tree),
  };
}

async function saveArchives(
  entries: readonly { readonly hostname: string; readonly archive: Uint8Array }[],
  work: string,
): Promise<MediumSource[]> {
  const sources: MediumSource[] = [];
  for (const { hostname, archive } of entries) {
    const name = `${hostname}.cpio`;
    await writeFile(join(work, name), archive);
    sources.push({ path: onMedium.archive(hostname), name });
  }
  return sources;
}

function treeName(hostname: string): string {
  return `${hostname}.tar.zst`;
}

function refuseSameNames(definitions: readonly OpenDefinition[]): void {
  const names = definitions.map(({ spec }) => spec.hostname);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new Fail(`two of the definitions have the hostname ${twice}, by which the menu names them`, {
      hint: "make a medium for each",
    });
}
