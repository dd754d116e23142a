import { kernelsMount } from "../../boot/loader.ts";
import type { DiskFacts, Facts } from "../../schema/facts.ts";
import type { Lock } from "../../schema/lock.ts";
import { type MachineNeeds, tpmProblem } from "../../schema/needs.ts";
import type { Spec } from "../../schema/spec.ts";
import { filesystemOf, writtenDisks } from "../../storage/graph/check-storage.ts";
import { contentsOf, graphOf } from "../../storage/graph/graph.ts";
import { storageModules } from "../../storage/system/storage-config.ts";
import { layoutOf } from "../../storage/table/gpt.ts";
import { architectures } from "../../tables/architecture.ts";
import type { Loaders } from "../secure-boot/loaders.ts";
import { generationsOf, judgeLoaders } from "../secure-boot/refusals.ts";
import { openedByHand } from "../unlock/by-hand.ts";
import { unlockBySsh, unlockKeys } from "../unlock/by-ssh.ts";
import { notEarly } from "../unlock/early-links.ts";
import { type Finding, go, noGo, warn } from "./finding.ts";

const mib = 2 ** 20;
/** A kernel with its initramfs, seen is 21 MiB for a virtual machine and 60 to 90 MiB with drivers, firmware and disk encryption. */
const kernelBytes = { least: 16 * mib, usual: 64 * mib } as const;
/** Loaders, menus and their directories. */
const loaderBytes = 4 * mib;
/** Packages smaller than this only name a kernel. */
const kernelPackageBytes = mib;

/** What a definition needs of a machine. How many disks, and of what size, is found out by matching them. */
export interface Needs {
  readonly machine: MachineNeeds;
  /** Where kernels are, if that is a partition of a size of its own; with one more kernel beside them while apt replaces it. */
  readonly kernels: {
    readonly on: "esp" | "xbootldr" | "/boot";
    readonly least: number;
    readonly usual: number;
  }[];
  /** "debian": what Microsoft has signed; "own": firmware that takes the definition's keys. */
  readonly secureBoot: "debian" | "own" | undefined;
}

type FirmwareFacts = Pick<Facts, "secureBoot" | "setupMode" | "firmware" | "secureBootDb" | "sbatLevel">;
/** Of the packages that the new system gets; undefined where they were not asked for. */
export type SignedLoaders = Loaders | { readonly problem: string } | undefined;

/** Pure: what the definition and its lock ask for. */
export function needsOf(spec: Spec, lock?: Pick<Lock, "packages">): Needs {
  const { storage, boot } = spec;
  const tpm2 = storage === undefined ? undefined : tpmNeed(storage);
  const count = Math.max(
    1,
    (lock?.packages ?? []).filter(
      ({ name, size }) => name.startsWith("linux-image-") && size > kernelPackageBytes,
    ).length,
  );
  const room = {
    least: loaderBytes + count * kernelBytes.least,
    usual: loaderBytes + (count + 1) * kernelBytes.usual,
  };
  return {
    machine: {
      ...(tpm2 && { tpm2 }),
      cpuFlags: [...architectures[spec.system.architecture].cpuFlags],
      modules: storage === undefined ? [] : storageModules(storage),
    },
    kernels: kernelPlaces(spec).map((on) => ({ on, ...room })),
    secureBoot: boot?.secureBoot === undefined ? undefined : boot.secureBoot === "debian" ? "debian" : "own",
  };
}

function tpmNeed(storage: NonNullable<Spec["storage"]>): MachineNeeds["tpm2"] {
  const opened = contentsOf(graphOf(storage), "luks").flatMap(({ content: { name, unlock } }) =>
    unlock.type === "tpm2" ? [{ name, pcrs: unlock.pcrs }] : [],
  );
  if (opened.length === 0) return undefined;
  return {
    // Sealed to no register, any bank will do.
    ...(opened.some(({ pcrs }) => pcrs.length > 0) ? { bank: "sha256" } : {}),
    volumes: opened.map(({ name }) => name),
  };
}

function kernelPlaces({ storage, boot }: Spec): Needs["kernels"][number]["on"][] {
  if (storage === undefined || boot === undefined) return [];
  const copied = boot.firmware.includes("uefi") && boot.loader !== "grub";
  const { on } = filesystemOf(storage, "/boot");
  return [
    ...(copied ? [kernelsMount({ storage }) === "/efi" ? ("esp" as const) : ("xbootldr" as const)] : []),
    ...(on.mount === "/boot" && on.place.on === "partition" ? ["/boot" as const] : []),
  ];
}

/** How the machine answers; `disks` as matched, undefined where they were not found. */
export function judgeNeeds(
  needs: Needs,
  spec: Spec,
  facts: Pick<Facts, "tpm" | "cpuFlags"> & FirmwareFacts,
  disks: Readonly<Record<string, DiskFacts>> | undefined,
  loaders?: SignedLoaders,
): Finding[] {
  return [
    ...processor(needs.machine, spec, facts),
    ...tpm(needs.machine, facts),
    ...typedAtConsole(spec),
    ...secureBoot(needs, facts, loaders),
    ...(disks === undefined ? [] : needs.kernels.map((need) => kernelRoom(need, spec, disks))),
  ];
}

function processor(
  { cpuFlags: wanted }: MachineNeeds,
  { system }: Spec,
  { cpuFlags: has }: Pick<Facts, "cpuFlags">,
): Finding[] {
  // A kernel that does not show them.
  if (has === undefined || has.length === 0) return [];
  const missing = wanted.filter((flag) => !has.includes(flag));
  if (missing.length === 0) return [];
  return [
    noGo("processor", `it lacks ${missing.join(", ")}`, `Debian's ${system.architecture} does not run on it`),
  ];
}

function tpm({ tpm2 }: MachineNeeds, facts: Pick<Facts, "tpm">): Finding[] {
  if (tpm2 === undefined) return [];
  const wants = `${tpm2.volumes.join(", ")} ${tpm2.volumes.length === 1 ? "is" : "are"} opened by a TPM 2.0`;
  const problem = tpmProblem(tpm2, facts.tpm);
  if (problem !== undefined)
    return [
      noGo(
        "tpm",
        `${wants}${tpm2.bank === undefined ? "" : ` with ${tpm2.bank} registers`}; ${problem}`,
        "switch it on in the firmware (fTPM, PTT, vTPM), or let another way of `unlock` open the volume",
      ),
    ];
  if (facts.tpm?.usable === false)
    return [
      warn(
        "tpm",
        `${wants}; the firmware tells of it, and the host's kernel has no driver for it loaded`,
        "the base asks again before anything is written",
      ),
    ];
  return [
    go(
      "tpm",
      `TPM 2.0${facts.tpm?.banks === undefined ? "" : `, ${facts.tpm.banks.join(" and ")} registers`}`,
    ),
  ];
}

/** What opens only by a passphrase at the console stops every start until somebody types it, the first after a deploy included. */
export function typedAtConsole(spec: Pick<Spec, "storage">): Finding[] {
  const { early, later } = openedByHand(spec);
  const names = [...early, ...later];
  if (names.length === 0) return [];
  const each = names.length === 1 ? "opens only by a passphrase" : "open only by passphrases";
  const what = early.length > 0 ? "the root is not there" : "SSH does not answer";
  const instead = [
    ...(early.length > 0 ? ['`unlock: { type: "ssh" }`, "tpm2" or "tang"'] : []),
    ...(later.length > 0 ? [`\`unlock: { type: "key-file" }\` for ${later.join(", ")}`] : []),
  ];
  return [
    warn(
      "passphrase",
      `${names.join(", ")} ${each} typed at the console: each start waits there, the first one of a deploy too, and until then ${what}`,
      `write ${instead.join(", and ")}; or sit at the console when the machine restarts`,
    ),
  ];
}

/** Whether the deploy can open the root itself at the first start: by a key that the operator holds, where the host is reached. */
export function openedByDeploy(spec: Spec, held: readonly string[], address: string): Finding[] {
  const served = unlockBySsh(spec);
  if (served === undefined) return [];
  const names = served.volumes.map(({ name }) => name).join(", ");
  const keys = unlockKeys(served.unlock, spec);
  const mine = held.some((key) => keys.some((line) => `${line} `.startsWith(`${key} `)));
  const late = notEarly(spec.network).find(({ name }) =>
    spec.network[name]!.addresses.some((one) => one.split("/")[0] === address),
  );
  if (mine && late === undefined)
    return [go("unlock", `the deploy opens ${names} over SSH at the first start`)];
  const [detail, hint] = mine
    ? [
        `${address} is on ${late!.name}, which the initramfs does not make: ${names} cannot be opened there`,
        "open it by another address (`imgbuild unlock`) or at the console while the deploy waits",
      ]
    : [
        `no key that you hold opens ${names} over SSH: the deploy will wait until somebody else does`,
        "add your public key to `keys` of `unlock`",
      ];
  return [warn("unlock", detail!, hint!)];
}

function secureBoot(
  { secureBoot: wanted }: Needs,
  facts: FirmwareFacts,
  loaders: SignedLoaders | undefined,
): Finding[] {
  const { secureBoot: isOn, setupMode, firmware } = facts;
  const check = "secure boot";
  if (firmware !== "uefi") return [];
  if (wanted === undefined)
    return isOn
      ? [
          noGo(
            check,
            "it is on, and the firmware would not start the new system, which is not signed",
            'say `secureBoot: "debian"` in `boot` of the definition, or switch it off in the firmware',
          ),
        ]
      : [];
  if (wanted === "debian")
    return isOn
      ? [signedLoaders(check, facts, loaders)]
      : [warn(check, "it is off for the deploy", "switch it on in the firmware once the new system runs")];
  if (setupMode) return [go(check, "the firmware is in setup mode and can take the definition's keys")];
  if (isOn)
    return [
      warn(
        check,
        "it is on, and the new system starts only if the firmware has the definition's keys already",
        "see in its menu that it has, or put it into setup mode",
      ),
    ];
  return [
    warn(
      check,
      "the firmware is not in setup mode, so it will not take the definition's keys by itself",
      "put it into setup mode, or enter the keys in its menu; until then the new system starts unverified",
    ),
  ];
}

function signedLoaders(check: string, facts: FirmwareFacts, loaders: SignedLoaders | undefined): Finding {
  const on = "it is on; the new system starts by Debian's signatures";
  if (loaders === undefined) return go(check, on);
  if ("problem" in loaders)
    return warn(
      check,
      `${on}, which were not compared with the firmware's keys: ${loaders.problem}`,
      "see that packages can be fetched here, and plan again",
    );
  const { shim, next } = loaders;
  const { refused, trusted } = judgeLoaders(loaders, facts);
  if (refused.length > 0)
    return noGo(
      check,
      `it is on, and would refuse the new system: ${refused.join("; ")}`,
      "take newer packages (`imgbuild lock DEF --update`), bring the firmware's keys up to date (`fwupdmgr update`), or switch Secure Boot off",
    );
  if (trusted === undefined)
    return warn(
      check,
      `${on}; which keys the firmware has could not be read`,
      `it has to trust ${shim.signedBy.join(" or ")}`,
    );
  const generations = [shim, next].map(generationsOf).join(" and ");
  return go(
    check,
    `it is on; the firmware trusts ${trusted.join(" and ")}, by which ${shim.from} is signed, and has not revoked ${generations}`,
  );
}

function kernelRoom(
  { on, least, usual }: Needs["kernels"][number],
  { storage }: Spec,
  disks: Readonly<Record<string, DiskFacts>>,
): Finding {
  const sizes = (storage === undefined ? [] : writtenDisks(storage)).flatMap(([name, disk]) => {
    const seen = disks[name];
    if (seen === undefined) return [];
    const { partitions } = layoutOf(
      disk,
      seen.sizeBytes,
      seen.sectorSize,
      { seed: "", name },
      seen.partitions,
    );
    const mounts = new Map(
      disk.table.partitions.map((part) => [
        part.name,
        part.content !== undefined && "mount" in part.content ? part.content.mount : undefined,
      ]),
    );
    return partitions
      .filter((part) => (on === "/boot" ? mounts.get(part.name) === on : part.type === on))
      .map(({ sizeBytes }) => sizeBytes);
  });
  const check = `room on ${on === "/boot" ? on : on.toUpperCase()}`;
  if (sizes.length === 0)
    return warn(check, "no partition of the definition is known to be it", "see that kernels fit");
  const has = Math.min(...sizes);
  const detail = `${Math.floor(has / mib)} MiB; kernels take at least ${least / mib}, and ${usual / mib} MiB when apt brings another`;
  if (has < least) return noGo(check, detail, "make the partition larger: a full one ends the build");
  if (has >= usual) return go(check, detail);
  return warn(check, detail, "an update may find it full");
}
