import { onEsp } from "../../boot/efi-files.ts";
import { type BootPlace, embeddedConfig, espConfig, grubMenu } from "../../boot/grub.ts";
import { kernelsMount } from "../../boot/loader.ts";
import { readsCustomMenu } from "../../boot/rescue-entry.ts";
import type { Target } from "../../disks/target.ts";
import type { StepData } from "../../schema/plan.ts";
import type { Boot, Spec } from "../../schema/spec.ts";
import { installGrub } from "../../steps/boot/install-grub.ts";
import { installGrubEfi } from "../../steps/boot/install-grub-efi.ts";
import { installSystemdBoot } from "../../steps/boot/install-systemd-boot.ts";
import type { VerityPlan } from "../../steps/boot/make-verity.ts";
import { certificateOf, type SigningKeys, signerIn, signLoader } from "../../steps/boot/sign-loader.ts";
import { verifyBoot } from "../../steps/boot/verify-boot.ts";
import { stepData } from "../../steps/step/step.ts";
import { writeFiles } from "../../steps/tree/write-files.ts";
import { storageConfig } from "../../storage/system/storage-config.ts";
import type { Layout } from "../../storage/table/gpt.ts";
import { Fail } from "../../util/fail.ts";
import type { Secret } from "../../util/secret.ts";
import { bootDisks, bootPlace, coreRooms, hasOwnBoot, initramfsNeeds } from "../check/boot-place.ts";
import type { BaseFiles } from "../takeover/takeover.ts";
import { lastingStep, type RescuePlace, rescueSteps } from "./rescue-first.ts";

/** UUID of the root filesystem. */
export function rootUuidOf(spec: Spec, seed: string): string {
  if (spec.storage === undefined) throw new Fail("the definition has no root filesystem");
  return storageConfig(spec.storage, seed).rootUuid;
}

/** The kernel's command line, the same for every bootloader. */
export function kernelCmdline(spec: Spec, seed: string, consoles: readonly string[]): string[] {
  return [
    ...(spec.storage === undefined ? [] : storageConfig(spec.storage, seed).cmdline),
    "ro",
    ...consoles.map((name) => `console=${name}`),
    ...(spec.boot?.cmdline ?? []),
  ];
}

/** Signing what the tree itself keeps signed; the rest is signed on its way to the ESP. */
export function signSteps(spec: Spec, epoch: number): StepData[] {
  const keys = signingKeys(spec, epoch);
  return keys === undefined ? [] : [stepData(signLoader, "signing the bootloader", keys)];
}

/** Refuses a signing key that is missing, or not that of the certificate; before anything is made, or any disk is written. */
export function checkSigningKey(spec: Spec, secrets: ReadonlyMap<string, Secret>): void {
  const keys = signingKeys(spec, 1);
  if (keys === undefined) return;
  signerIn({ secrets }, keys);
  for (const one of keys.alsoTrusted) certificateOf(one);
}

/** What the firmware's own boot entry starts: the first program on the way. */
export function firmwareLoader({ loader, secureBoot }: Boot): string {
  const first = secureBoot === "debian" ? "shim" : loader === "grub" ? "grub" : "systemdBoot";
  return `\\${onEsp[first].replaceAll("/", "\\")}`;
}

interface Options {
  readonly cmdline: readonly string[];
  readonly consoles: readonly string[];
  readonly esp: string;
  /** The same of an extended boot loader partition, where the definition has one. */
  readonly xbootldr: string;
  readonly scratch: string;
  readonly epoch: number;
  readonly disks: readonly { readonly layout: Layout; readonly target: Target }[];
  /** How the base is started until the system is whole; undefined in an image, and where it has no place. */
  readonly rescue?: { readonly place: RescuePlace; readonly base: BaseFiles } | undefined;
  /** Where the base stays as rescue system; an image names the consoles, a deploy has those of the base. */
  readonly lasting?: Lasting | undefined;
  /** A root with verity. */
  readonly verity?: VerityPlan | undefined;
  /** An image: where its root filesystem is. Left out where the disks are mounted. */
  readonly rootAt?: { readonly image: string; readonly offsetBytes: number };
}

/** The base that stays, in an image for each firmware. */
export interface Lasting {
  readonly places: readonly RescuePlace[];
  readonly base: BaseFiles;
  readonly inImage: boolean;
}

interface BootSteps {
  /** Before anything of the new system: what starts the base meanwhile. */
  readonly first: StepData[];
  readonly filesystem: StepData[];
  readonly grub: StepData[];
  readonly verify: StepData[];
  /** Once all is whole: what starts the new system from then on. */
  readonly last: StepData[];
}

/** Bootloaders for the firmware that the definition serves, and the check that they will find everything. */
export function bootSteps(spec: Spec, seed: string, options: Options): BootSteps {
  const { boot } = spec;
  if (boot === undefined) return { first: [], filesystem: [], grub: [], verify: [], last: [] };
  const place = bootPlace(spec, seed);
  const uefi = boot.firmware.includes("uefi");
  const title = `${spec.hostname} (Debian ${spec.system.suite})`;
  const cores = boot.firmware.includes("bios")
    ? options.disks.flatMap(({ layout, target }) =>
        coreRooms(layout, bootDisks(spec.storage)).map((room) => ({ target, ...room })),
      )
    : [];
  const menu = cores.length > 0 || (uefi && boot.loader === "grub");
  const { cmdline, consoles, esp, rescue, lasting } = options;
  const timeoutSeconds = boot.menuTimeoutSeconds;
  const kept = lasting?.places.some(({ loader }) => loader === "grub") === true;
  const content = `${grubMenu({ place, cmdline, consoles, timeoutSeconds, title })}${kept ? readsCustomMenu : ""}`;
  const embedding = cores.map((core) =>
    stepData(installGrub, "embedding GRUB", {
      ...core,
      config: embeddedConfig(place),
      ...(kept ? { modules: ["loadenv"] } : {}),
      scratch: options.scratch,
    }),
  );
  const { first, last } =
    rescue === undefined
      ? { first: [], last: [] }
      : rescueSteps(rescue.place, { spec, base: rescue.base }, seed, content);
  const early = rescue?.place.loader === "grub";
  return {
    first: early ? [...first, ...embedding] : first,
    last,
    filesystem: [
      ...(menu && !early
        ? [
            stepData(writeFiles, "writing GRUB's menu", {
              files: [{ path: "/boot/grub/grub.cfg", content }],
            }),
          ]
        : []),
      ...(uefi ? [espStep(spec, options, { place, title })] : []),
      ...keptSteps(spec, seed, options),
    ],
    grub: early ? [] : embedding,
    verify: [
      stepData(verifyBoot, "checking that it will boot", {
        rootUuid: rootUuidOf(spec, seed),
        cmdline: [...cmdline],
        ...initramfsNeeds(spec, seed),
        ...(menu ? { menu: { uuid: place.uuid, linksIn: hasOwnBoot(spec) ? "/boot" : "/" } } : {}),
        ...(uefi ? { esp: { path: esp, ...espCheck(spec, boot, options) } } : {}),
        cores,
        ...(options.verity === undefined
          ? {}
          : { verity: options.verity, overlays: Object.keys(spec.storage?.overlays ?? {}) }),
        ...(options.rootAt === undefined ? { mounted: true } : { rootAt: options.rootAt }),
      }),
    ],
  };
}

/** Once all that starts the system is there. */
function keptSteps(spec: Spec, seed: string, { lasting, esp, xbootldr, consoles }: Options): StepData[] {
  if (lasting === undefined) return [];
  const { places, base, inImage } = lasting;
  const on = kernelsMount(spec) === "/efi" ? esp : xbootldr;
  const cmdline = inImage ? consoles.map((name) => `console=${name}`) : undefined;
  return places.map((place) => lastingStep(place, { spec, base }, seed, { on, cmdline }));
}

function espStep(
  spec: Spec,
  options: Options,
  how: { readonly place: BootPlace; readonly title: string },
): StepData {
  const { loader, secureBoot, menuTimeoutSeconds } = spec.boot!;
  const { esp, cmdline, epoch } = options;
  if (loader === "grub")
    return stepData(installGrubEfi, "filling the ESP", {
      esp,
      shim: secureBoot === "debian",
      config: espConfig(how.place),
    });
  const keys = secureBoot === "debian" ? secureBoot : signingKeys(spec, epoch);
  return stepData(installSystemdBoot, "filling the ESP", {
    esp,
    ...(kernelsMount(spec) === "/efi" ? {} : { kernels: options.xbootldr }),
    layout: loader === "uki" ? "uki" : "bls",
    cmdline: [...cmdline],
    ...(options.verity === undefined ? {} : { rootHash: options.verity.file }),
    title: how.title,
    timeoutSeconds: menuTimeoutSeconds,
    ...(options.rescue?.place.loader === "systemd-boot" ? { rescue: true as const } : {}),
    ...(keys === undefined ? {} : { secureBoot: keys }),
  });
}

function signingKeys({ boot }: Spec, epoch: number): SigningKeys | undefined {
  if (!boot?.firmware.includes("uefi") || typeof boot.secureBoot !== "object") return undefined;
  const { key, certificate, alsoTrusted = [], enroll } = boot.secureBoot;
  return { key, certificate, alsoTrusted, enroll, epoch };
}

/** What is gone from there when the new system starts. */
function goingOf({ seen, stays }: RescuePlace): string {
  return stays ? `${seen}/carried` : seen;
}

function espCheck(spec: Spec, { loader, secureBoot }: Boot, { disks, rootAt, xbootldr, rescue }: Options) {
  const own = typeof secureBoot === "object" ? { certificate: secureBoot.certificate } : secureBoot;
  const sizeOf = (wanted: "esp" | "xbootldr") => {
    const part = disks.flatMap(({ layout }) => layout.partitions).find(({ type }) => type === wanted);
    return rootAt === undefined || part === undefined ? {} : { sizeBytes: part.sizeBytes };
  };
  const goes = rescue?.place.loader === "systemd-boot" ? { goes: goingOf(rescue.place) } : {};
  return {
    loader,
    ...(own === undefined ? {} : { secureBoot: own }),
    ...sizeOf("esp"),
    ...(kernelsMount(spec) === "/efi"
      ? goes
      : { kernels: { path: xbootldr, ...sizeOf("xbootldr"), ...goes } }),
  };
}
