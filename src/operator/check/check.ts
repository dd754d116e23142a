import type { Boot, Spec } from "../../schema/spec.ts";
import type { Partition } from "../../schema/storage.ts";
import { storageProblems } from "../../storage/check/check-graph.ts";
import { mountsOf, writtenDisks } from "../../storage/graph/check-storage.ts";
import { graphOf } from "../../storage/graph/graph.ts";
import { verityPlaces } from "../../storage/system/verity-root.ts";
import { traitsOf } from "../../tables/filesystem/filesystems.ts";
import { releases } from "../../tables/release.ts";
import type { Problem } from "../../util/problem.ts";
import { asksFor } from "../settings/setting.ts";
import { settingProblems, settingsFiles } from "../settings/settings.ts";
import { accountProblems } from "../settings/users.ts";
import { unreadByGrub } from "./boot-place.ts";
import { calendarProblems } from "./check-calendars.ts";
import { credentialProblems, noSecret, storeProblems } from "./check-credentials.ts";
import { networkProblems } from "./check-network.ts";
import { rescueProblems } from "./check-rescue.ts";
import { treeEditProblems } from "./check-tree-edits.ts";
import { unlockProblems } from "./check-unlock.ts";

/** What a schema cannot see: fields that contradict each other or name what is not there. */
export function checkSpec(spec: Spec): Problem[] {
  return [
    ...(spec.storage === undefined ? [] : storageProblems(spec.storage)),
    ...keyProblems(spec),
    ...bootProblems(spec),
    ...userProblems(spec),
    ...fileProblems(spec),
    ...treeEditProblems(spec),
    ...settingProblems(spec),
    ...calendarProblems(spec),
    ...credentialProblems(spec),
    ...storeProblems(spec),
    ...networkProblems(spec),
    ...unlockProblems(spec),
    ...rescueProblems(spec),
    ...restProblems(spec),
  ];
}

function bootProblems(spec: Spec): Problem[] {
  const { boot, storage } = spec;
  if (storage === undefined)
    return boot === undefined ? [] : [{ path: ["boot"], message: "needs `storage` to boot from" }];
  if (boot === undefined)
    return [{ path: ["storage"], message: "needs `boot` beside it; `boot: {}` serves UEFI and BIOS" }];
  const partitions = writtenDisks(storage).flatMap(([, disk]): readonly Partition[] => disk.table.partitions);
  const problems: Problem[] = [];
  const esps = partitions.filter(({ type }) => type === "esp");
  const path = ["boot", "firmware"];
  const mounts = mountsOf(storage);
  if (
    boot.firmware.includes("uefi") &&
    !(esps.length > 0 && mounts.some(({ mount, type }) => mount === "/efi" && traitsOf(type).firmware))
  )
    problems.push({ path, message: "uefi needs an ESP mounted at /efi; `esp()` makes one" });
  // Copies are for another disk's sake: together they are one filesystem, by an array.
  if (esps.filter(({ content }) => traitsOf(content?.type).firmware).length > 1)
    problems.push({
      path: ["storage", "disks"],
      message: "holds more than one ESP; needs one, or an array of the others",
    });
  const hasMbr = writtenDisks(storage).some(([, disk]) => disk.table.type === "mbr");
  if (boot.firmware.includes("bios") && !hasMbr && !partitions.some(({ type }) => type === "bios-boot"))
    problems.push({ path, message: "bios needs a bios-boot partition; `biosBoot()` makes one" });
  problems.push(...xbootldrProblems(spec, boot), ...loaderProblems(spec, boot));
  const usesGrub = boot.firmware.includes("bios") || boot.loader === "grub";
  const unread = usesGrub && mounts.some(({ mount }) => mount === "/") ? unreadByGrub(storage) : undefined;
  if (unread !== undefined)
    problems.push({
      path: ["storage"],
      message: `/boot lies ${unread}, where GRUB cannot read it; give it a partition of its own, or leave \`bios\` out of boot.firmware`,
    });
  return problems;
}

/** systemd-boot looks for it on the disk from which it was itself started. */
function xbootldrProblems({ storage }: Spec, { firmware, loader }: Boot): Problem[] {
  const disks = storage === undefined ? [] : writtenDisks(storage);
  const has = (type: Partition["type"]) =>
    disks.filter(([, { table }]) => table.partitions.some((one) => one.type === type)).map(([name]) => name);
  const [apart, esps] = [has("xbootldr"), has("esp")];
  if (apart.length === 0) return [];
  if (!firmware.includes("uefi") || loader === "grub")
    return [
      {
        path: ["storage", "disks", apart[0]!],
        message:
          'has an extended boot loader partition, which only the loaders "systemd-boot" and "uki" read, under UEFI; for GRUB put /boot on a `linux` partition of its own',
      },
    ];
  const problems: Problem[] = [];
  const odd = [
    ...apart.filter((name) => !esps.includes(name)),
    ...esps.filter((name) => !apart.includes(name)),
  ];
  for (const name of odd)
    problems.push({
      path: ["storage", "disks", name],
      message: `has ${apart.includes(name) ? "an extended boot loader partition and no ESP" : "an ESP and no extended boot loader partition"}; the loader looks for kernels on its own disk alone, which needs both`,
    });
  if (!mountsOf(storage!).some(({ mount, type }) => mount === "/xbootldr" && traitsOf(type).firmware))
    problems.push({
      path: ["storage"],
      message: "has an extended boot loader partition that needs to be mounted at /xbootldr",
    });
  for (const [name, { table }] of disks)
    if (table.partitions.filter(({ type }) => type === "xbootldr").length > 1)
      problems.push({
        path: ["storage", "disks", name],
        message: "has more than one extended boot loader partition; needs one",
      });
  return problems;
}

function loaderProblems(spec: Spec, boot: Boot): Problem[] {
  const { loader, secureBoot, firmware } = boot;
  if (spec.storage !== undefined && verityPlaces(spec.storage) !== undefined)
    if (loader === "grub" || firmware.includes("bios"))
      return [
        {
          path: ["boot"],
          message:
            'a root with `verity` needs `firmware: ["uefi"]` and the loader "uki" or "systemd-boot", which carries its hash',
        },
      ];
  const path = ["boot", "secureBoot"];
  if (!firmware.includes("uefi")) {
    if (secureBoot !== undefined)
      return [{ path, message: "needs `uefi` in boot.firmware: BIOS knows no signatures" }];
    if (loader === "uki") return [{ path: ["boot", "loader"], message: "uki needs `uefi` in boot.firmware" }];
    return [];
  }
  if (secureBoot === undefined) return [];
  if (secureBoot === "debian") {
    if (loader === "uki")
      return [
        { path, message: '"debian" signs no unified images; use a key of your own, or the loader "grub"' },
      ];
    if (loader === "systemd-boot" && !releases[spec.system.suite].signedSystemdBoot)
      return [{ path, message: `${spec.system.suite} has no signed systemd-boot; use the loader "grub"` }];
    return [];
  }
  if (loader === "grub")
    return [
      {
        path,
        message: 'a key of your own needs the loader "uki" or "systemd-boot"; GRUB goes with "debian"',
      },
    ];
  if (!Object.hasOwn(spec.secrets, secureBoot.key))
    return [{ path: [...path, "key"], message: noSecret(secureBoot.key, spec) }];
  return [];
}

/** Secrets that open LUKS volumes. */
function keyProblems(spec: Spec): Problem[] {
  if (spec.storage === undefined) return [];
  return graphOf(spec.storage).nodes.flatMap((node): Problem[] => {
    if (node.kind !== "content" || node.content.type !== "luks") return [];
    const { key, recoveryKey, unlock } = node.content;
    const path = [...node.path];
    const problems: Problem[] = [];
    if (!Object.hasOwn(spec.secrets, key))
      problems.push({ path: [...path, "key"], message: noSecret(key, spec) });
    else if (unlock.type === "key-file" && spec.secrets[key]?.path === undefined)
      problems.push({
        path: [...path, "unlock"],
        message: `needs a \`path\` of the secret \`${key}\`, at which the key file lands`,
      });
    else if (unlock.type === "key-file" && !/^[A-Za-z0-9_.@+/-]+$/.test(spec.secrets[key]?.path ?? ""))
      problems.push({
        path: ["secrets", key, "path"],
        message:
          "may hold letters, digits and `_.@+-/` only: crypttab names this key file, and has no quotes",
      });
    if (recoveryKey !== undefined && !Object.hasOwn(spec.secrets, recoveryKey))
      problems.push({ path: [...path, "recoveryKey"], message: noSecret(recoveryKey, spec) });
    return problems;
  });
}

function userProblems(spec: Spec): Problem[] {
  const problems: Problem[] = [];
  const uids = new Map<number, string>();
  for (const [name, user] of Object.entries(spec.users)) {
    const path = ["users", name];
    if (user.sudo && !asksFor(spec, "sudo"))
      problems.push({ path: [...path, "sudo"], message: "needs the package `sudo` in packages.install" });
    problems.push(...accountProblems(name, spec));
    if (user.hashedPassword !== undefined && user.hashedPasswordSecret !== undefined)
      problems.push({
        path: [...path, "hashedPasswordSecret"],
        message: "excludes `hashedPassword`; leave one of them out",
      });
    const secret = user.hashedPasswordSecret;
    if (secret !== undefined && !Object.hasOwn(spec.secrets, secret))
      problems.push({ path: [...path, "hashedPasswordSecret"], message: noSecret(secret, spec) });
    if (user.uid === undefined) continue;
    const other = uids.get(user.uid);
    if (name === "root")
      problems.push({ path: [...path, "uid"], message: "root is 0 and cannot be another; leave it out" });
    if (other !== undefined)
      problems.push({
        path: [...path, "uid"],
        message: `${user.uid} is the id of \`${other}\` too; needs one of its own`,
      });
    uids.set(user.uid, name);
  }
  return problems;
}

function fileProblems(spec: Spec): Problem[] {
  const problems: Problem[] = [];
  const owners = new Map<string, string>();
  const claim = (path: (string | number)[], target: string, what: string) => {
    const above = target
      .split("/")
      .map((_, index, parts) => parts.slice(0, index + 1).join("/"))
      .find((prefix) => owners.has(prefix));
    if (above !== undefined)
      problems.push({
        path,
        message: `${target} collides with ${owners.get(above)}; needs a path of its own`,
      });
    owners.set(target, what);
  };
  const entries = [
    ...Object.keys(spec.files).map((target) => ({
      path: ["files", target],
      target,
      what: `the file ${target}`,
    })),
    ...Object.keys(spec.templates ?? {}).map((target) => ({
      path: ["templates", target],
      target,
      what: `the template ${target}`,
    })),
    ...settingsFiles(spec).map(({ field, path: target }) => ({
      ...{ path: [field], target, what: `\`${field}\`, which writes ${target}` },
    })),
    ...Object.entries(spec.secrets).flatMap(([name, { path: target }]) =>
      target === undefined
        ? []
        : [{ path: ["secrets", name, "path"], target, what: `the secret ${name} at ${target}` }],
    ),
  ];
  // Shorter first, so that a file is known before what would be below it.
  entries.sort((a, b) => a.target.length - b.target.length);
  for (const { path, target, what } of entries) claim(path, target, what);
  return problems;
}

function restProblems(spec: Spec): Problem[] {
  const problems: Problem[] = [];
  const hasDns = Object.values(spec.network).some(({ dns }) => dns.length > 0);
  const resolved = asksFor(spec, "systemd-resolved");
  for (const [name, network] of Object.entries(spec.network))
    if (network.dhcp !== "no" && !resolved && !hasDns)
      problems.push({
        path: ["network", name, "dhcp"],
        message: "needs the package `systemd-resolved` in packages.install to learn name servers, or `dns`",
      });
  if (spec.locale !== "C.UTF-8" && !asksFor(spec, "locales"))
    problems.push({
      path: ["locale"],
      message: `${spec.locale} needs the package \`locales\` in packages.install`,
    });
  for (const [name, service] of Object.entries(spec.services)) {
    if (service.state === "masked" && service.unit !== undefined)
      problems.push({
        path: ["services", name, "state"],
        message: "a masked unit cannot have a text of its own; leave out `unit`, or use another state",
      });
    if (Object.values(service).every((value) => value === undefined))
      problems.push({
        path: ["services", name],
        message: "says nothing; needs `state`, `unit`, `dropIn` or `credentials`",
      });
  }
  if (spec.host?.sshHostKey !== undefined && spec.hostKeys === "new")
    problems.push({
      path: ["host", "sshHostKey"],
      message: 'is gone after a deploy with `hostKeys: "new"`; name the host by its `dmiUuid`',
    });
  if (typeof spec.hostKeys === "object" && !Object.hasOwn(spec.secrets, spec.hostKeys.secret))
    problems.push({ path: ["hostKeys", "secret"], message: noSecret(spec.hostKeys.secret, spec) });
  return problems;
}
