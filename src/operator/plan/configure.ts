import type { StepData } from "../../schema/plan.ts";
import type { Spec } from "../../schema/spec.ts";
import { stepData } from "../../steps/step/step.ts";
import { checkTree, type Expectation } from "../../steps/tree/check-tree.ts";
import { makeLocale } from "../../steps/tree/make-locale.ts";
import { makeSystemUsers } from "../../steps/tree/make-system-users.ts";
import { makeUsers } from "../../steps/tree/make-users.ts";
import { patchFiles } from "../../steps/tree/patch-files.ts";
import { placeFiles } from "../../steps/tree/place-files.ts";
import { placeHostKeys } from "../../steps/tree/place-host-keys.ts";
import { provision } from "../../steps/tree/provision.ts";
import { setServices } from "../../steps/tree/set-services.ts";
import { type FileToWrite, writeFiles } from "../../steps/tree/write-files.ts";
import { writeSecrets } from "../../steps/tree/write-secrets.ts";
import type { StorageConfig } from "../../storage/system/storage-config.ts";
import { countOf } from "../../util/count.ts";
import { sha256 } from "../../util/digest.ts";
import { Fail } from "../../util/fail.ts";
import { render } from "../../util/template.ts";
import { parseDiff } from "../../util/unified-diff.ts";
import type { DefinitionFiles } from "../definition/files.ts";
import { sysusers } from "../settings/accounts.ts";
import { hostsFile } from "../settings/hosts.ts";
import { settingsEnable, settingsFiles } from "../settings/settings.ts";
import { unlockFiles } from "../unlock/unlock-files.ts";
import { aptFiles } from "./apt-files.ts";
import { expectedOfPackages, expectedOfTree } from "./expectations.ts";
import { networkFiles, resolvConf } from "./network-files.ts";

export interface ConfigureOptions {
  /** What the new system has to know of its disks. */
  readonly storage: Pick<StorageConfig, "files" | "directories">;
  /** Base URLs for the new system's apt sources, the one used first. */
  readonly mirrors: Readonly<Record<string, readonly string[]>>;
  /** Names of the locked packages: some files belong to a package that may not be there. */
  readonly packages: ReadonlySet<string>;
  readonly files: DefinitionFiles;
  /** Seconds since the epoch that a script may take for the present. */
  readonly epoch: number;
  /** Secrets and host keys come along; an image has neither. */
  readonly identity: "deploy" | "image" | "image-with-secrets";
}

/** What the definition says of the system beyond its packages, in the order in which one part may lean on another. */
export function configureSteps(spec: Spec, options: ConfigureOptions): StepData[] {
  const { files } = options;
  const steps: StepData[] = [
    ...checkSteps("looking for what the definition needs of packages", expectedOfPackages(spec)),
    ...patchSteps(spec, files),
  ];
  checkPlaces(spec, files);
  const [systemUsers] = sysusers.files(spec);
  if (systemUsers !== undefined)
    steps.push(stepData(makeSystemUsers, "making users of services", systemUsers));
  const users = Object.entries(spec.users).map(([name, { home, lingering: _, ...user }]) => ({
    ...{ name, ...user },
    ...(home === undefined ? {} : { home: typeof home === "string" ? { path: home } : home }),
  }));
  if (users.length > 0)
    steps.push(stepData(makeUsers, `making ${countOf(users.length, "user")}`, { users: sorted(users) }));
  steps.push(
    stepData(writeFiles, "writing the system's configuration", { files: systemFiles(spec, options) }),
  );
  if (hasLocale(spec, options.packages))
    steps.push(stepData(makeLocale, `making the locale ${spec.locale}`, {}));
  if (files.files.size > 0)
    steps.push(
      stepData(placeFiles, `placing ${countOf(files.files.size, "file")}`, {
        files: [...files.files].map(([path, { bytes, mode }]) => ({
          path,
          mode: `0${mode.toString(8)}`,
          sha256: sha256(bytes),
        })),
      }),
    );
  const inline: FileToWrite[] = [
    ...files.links,
    ...Object.entries(spec.files).map(([path, file]) => ({ path, ...file })),
    ...Object.entries(spec.templates ?? {}).map(([path, { text, values, ...file }]) => ({
      ...{ path, ...file },
      content: render(text, values).text,
    })),
  ];
  if (inline.length > 0)
    steps.push(stepData(writeFiles, `writing ${inline.length} inline files and links`, { files: inline }));
  for (const script of spec.provision ?? [])
    steps.push(stepData(provision, `running the script ${script.name}`, { ...script, epoch: options.epoch }));
  steps.push(...checkSteps("looking for units, programs and owners", expectedOfTree(spec)));
  steps.push(...serviceSteps(spec, options));
  const secrets = Object.entries(spec.secrets).flatMap(([name, { path, mode, owner, group }]) =>
    path === undefined ? [] : [{ name, path, mode, owner, group }],
  );
  if (secrets.length > 0 && options.identity !== "image")
    steps.push(stepData(writeSecrets, `writing ${countOf(secrets.length, "secret")}`, { secrets }));
  if (options.packages.has("openssh-server"))
    steps.push(
      stepData(placeHostKeys, "placing the SSH host keys", { expected: options.identity === "deploy" }),
    );
  return steps;
}

function checkSteps(doing: string, expected: Expectation[]): StepData[] {
  return expected.length === 0 ? [] : [stepData(checkTree, doing, { expected })];
}

/** Before all else: a patch is made of the file as it is packaged. */
function patchSteps({ patches = [] }: Spec, files: DefinitionFiles): StepData[] {
  if (patches.length === 0) return [];
  const placed = placedPaths(files);
  for (const { name, diff } of patches)
    for (const { path } of parseDiff(diff))
      if (placed.has(path))
        throw new Fail(`${name} patches ${path}, in whose place files/ puts another file`, {
          hint: "keep one of them",
        });
  return [stepData(patchFiles, `patching by ${patches.map(({ name }) => name).join(", ")}`, { patches })];
}

/** A file of files/ would silently take the place of what a word of the definition writes. */
function checkPlaces(spec: Spec, files: DefinitionFiles): void {
  const placed = placedPaths(files);
  for (const { field, path } of settingsFiles(spec))
    if (placed.has(path))
      throw new Fail(`\`${field}\` writes ${path}, in whose place files/ puts another file`, {
        hint: "keep one of them",
      });
}

function placedPaths({ files, links }: DefinitionFiles): ReadonlySet<string> {
  return new Set([...files.keys(), ...links.map(({ path }) => path)]);
}

function sorted<T extends { readonly name: string }>(entries: readonly T[]): T[] {
  return [...entries].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The C library has C.UTF-8 by itself. */
function hasLocale(spec: Spec, packages: ReadonlySet<string>): boolean {
  return spec.locale !== "C.UTF-8" && packages.has("locales");
}

function systemFiles(spec: Spec, options: ConfigureOptions): FileToWrite[] {
  const { packages } = options;
  const [short] = spec.hostname.split(".");
  const files: FileToWrite[] = [
    { path: "/etc/hostname", content: `${short}\n` },
    hostsFile(spec),
    ...options.storage.files,
    { path: "/etc/locale.conf", content: `LANG=${spec.locale}\n` },
    { path: "/etc/default/locale", link: "../locale.conf" },
    ...(hasLocale(spec, packages) ? [{ path: "/etc/locale.gen", content: `${spec.locale} UTF-8\n` }] : []),
    { path: "/etc/localtime", link: `../usr/share/zoneinfo/${spec.timezone}` },
    { path: "/etc/timezone", content: `${spec.timezone}\n` },
    ...options.storage.directories.map((path) => ({ path, directory: true as const })),
    ...networkFiles(spec),
    ...resolvConf(spec, packages),
    ...unlockFiles(spec),
  ];
  for (const { field, ...file } of settingsFiles(spec)) if (field !== "hosts") files.push(file);
  if (packages.has("apt")) files.push(...aptFiles(spec, options.mirrors));
  for (const [name, { unit, dropIn, credentials = [] }] of Object.entries(spec.services)) {
    if (unit !== undefined) files.push({ path: `/etc/systemd/system/${name}`, content: unit });
    if (dropIn !== undefined)
      files.push({ path: `/etc/systemd/system/${name}.d/50-imgbuild.conf`, content: dropIn });
    if (credentials.length > 0)
      files.push({
        path: `/etc/systemd/system/${name}.d/60-credentials.conf`,
        content: `[Service]\n${credentials.map((id) => credentialLine(id, spec)).join("")}`,
      });
  }
  if (packages.has("openssh-server") && options.identity !== "deploy")
    files.push({ path: `/etc/systemd/system/${hostKeyUnit}`, content: hostKeyUnitText });
  return files;
}

function credentialLine(name: string, { secrets }: Spec): string {
  return `LoadCredential=${name}:${secrets[name]!.path!}\n`;
}

/** An image is for many machines, each of which makes its own host keys when it first starts. */
const hostKeyUnit = "imgbuild-host-keys.service";
const hostKeyUnitText = `[Unit]
Description=Make the SSH host keys of this machine
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key
Before=ssh.service ssh.socket

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
RequiredBy=ssh.service
`;

function serviceSteps(spec: Spec, { packages, identity }: ConfigureOptions): StepData[] {
  const named = (state: string) =>
    Object.entries(spec.services)
      .filter(([, service]) => service.state === state)
      .map(([name]) => name);
  const implied = [
    ...(Object.keys(spec.network).length > 0 ? ["systemd-networkd.service"] : []),
    ...(packages.has("systemd-resolved") ? ["systemd-resolved.service"] : []),
    ...(packages.has("openssh-server") && identity !== "deploy" ? [hostKeyUnit] : []),
    ...settingsEnable(spec),
  ].filter((name) => spec.services[name]?.state === undefined);
  const enable = [...implied, ...named("enabled")].sort();
  const disable = named("disabled").sort();
  const mask = named("masked").sort();
  if (enable.length + disable.length + mask.length === 0) return [];
  return [stepData(setServices, "setting the services", { enable, disable, mask })];
}
