import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { cardModules } from "../../boot/check/card-modules.ts";
import { checkEsp } from "../../boot/check/check-esp.ts";
import { checkEmbeddedGrub } from "../../boot/check/check-grub.ts";
import { checkInitramfs, initramfsContent } from "../../boot/check/check-initramfs.ts";
import { diskModules, mountedSource } from "../../boot/check/disk-modules.ts";
import { filesystemAt } from "../../boot/check/superblock.ts";
import type { MachinePaths } from "../../disks/find-disk.ts";
import { Target, writablePath } from "../../disks/target.ts";
import { verityRoot } from "../../disks/verity.ts";
import { Tree } from "../../tree/tree.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep, type StepContext } from "../step/step.ts";
import { rootHashWord } from "./install-systemd-boot.ts";
import { kernelVersions } from "./make-initramfs.ts";
import { VerityPlan, verityProblem } from "./make-verity.ts";
import { certificateOf } from "./sign-loader.ts";

/** Smaller than this is no kernel and no initramfs. */
const leastBytes = 1024 * 1024;
const listMs = 600_000;
/** What FAT itself takes of an ESP. */
const fatShare = 0.02;

const Fat = z.strictObject({
  path: z.string().startsWith("/"),
  /** Where it is a directory yet; a mounted one is asked itself. */
  sizeBytes: z.int().positive().optional(),
  /** A directory or file of it that goes before the new system starts: its room is counted as free. */
  goes: z.string().startsWith("/").optional(),
});
const Esp = Fat.extend({
  /** The extended boot loader partition, where there is one: kernels and entries are there. */
  kernels: Fat.optional(),
  loader: z.enum(["systemd-boot", "uki", "grub"]),
  /** Or the certificate by which everything on it is to be signed. */
  secureBoot: z.union([z.literal("debian"), z.strictObject({ certificate: z.string() })]).optional(),
});

/** Follows, before anything is unmounted, every way by which the machine is to start, and refuses the first thing missing or broken. */
export const verifyBoot = defineStep({
  kind: "verify-boot",
  summary: "check that what was built can boot",
  schema: z.strictObject({
    rootUuid: z.string(),
    /** The kernel's command line. */
    cmdline: z.array(z.string()),
    /** Modules and programs by which the initramfs reaches the root filesystem. */
    modules: z.array(z.string()),
    programs: z.array(z.string()).default([]),
    /** UUID of the filesystem that holds /boot, and where the links are that GRUB's menu names. Left out without GRUB. */
    menu: z.strictObject({ uuid: z.string(), linksIn: z.enum(["/", "/boot"]) }).optional(),
    esp: Esp.optional(),
    /** GRUB's core images for BIOS. */
    cores: z
      .array(
        z.strictObject({ target: Target, startBytes: z.int().positive(), sizeBytes: z.int().positive() }),
      )
      .default([]),
    /** Where the root filesystem is in an image. Left out where it is mounted. */
    rootAt: z.strictObject({ image: z.string().startsWith("/"), offsetBytes: z.int() }).optional(),
    /** A root with verity: its digests, and where its root hash is. */
    verity: VerityPlan.optional(),
    /** Directories of it over which others are laid when the system starts. */
    overlays: z.array(z.string().startsWith("/")).default([]),
    /** The tree is mounted from the disks on which it will boot, with this machine's drivers. */
    mounted: z.boolean().default(false),
  }),
  run: async (input, context) => {
    const { root, log, machine } = context;
    const source = input.mounted ? await mountedSource(root, join(machine.proc, "self/mounts")) : undefined;
    const tree = new Tree(root);
    const { cmdline, esp, menu, cores } = input;
    const rootWord = cmdline.find((word) => word.startsWith("root="));
    if (rootWord === undefined) throw new Fail("the kernel's command line names no root filesystem");
    const versions = kernelVersions(root);
    if (versions.length === 0) throw new Fail("the tree has no kernel in /boot");
    for (const version of versions)
      for (const name of ["vmlinuz", "initrd.img"]) big(tree, `/boot/${name}-${version}`);
    await checkRoot(input, source, root, rootWord);
    const driven = source === undefined ? [] : await diskModules(source, machine.sys);
    const modules = [...new Set([...input.modules, ...driven])];
    const needsNetwork = ["clevis-decrypt-tang", "dropbear"].some((name) => input.programs.includes(name));
    const cards = input.mounted && needsNetwork ? await cardModules(machine.sys) : [];
    for (const version of versions) await checkOneInitramfs(context, version, { ...input, modules, cards });
    for (const path of input.overlays)
      if (!tree.stat(path)?.isDirectory())
        throw new Fail(`the tree has no directory ${path}, over which another is to be laid`, {
          hint: "make it by a file in it, or take it out of storage.overlays",
        });
    const moreWords = input.verity === undefined ? [] : [await checkVerity(input.verity, cmdline, machine)];
    if (menu !== undefined) checkMenu(tree, menu, rootWord);
    if (esp !== undefined) {
      const { secureBoot, loader, kernels } = esp;
      const own =
        typeof secureBoot === "object" ? { certificate: certificateOf(secureBoot.certificate) } : undefined;
      const signed = own ?? (secureBoot === "debian" ? "debian" : undefined);
      await checkEsp({
        ...{ esp: esp.path, root, loader, secureBoot: signed, versions, rootWord, moreWords },
        ...(kernels === undefined ? {} : { kernels: kernels.path }),
        menuUuid: menu?.uuid ?? input.rootUuid,
      });
      await checkRoom(esp, tree, versions);
    }
    for (const { target, ...place } of cores)
      await checkEmbeddedGrub(await writablePath(target, machine), place);
    const loaders = [
      ...(cores.length > 0 ? ["GRUB for BIOS"] : []),
      ...(esp === undefined ? [] : [esp.loader]),
    ];
    log.info(`bootable: ${[...versions, ...loaders].join(", ")}`);
  },
});

type Wanted = z.output<typeof verifyBoot.schema>;

/** root= must lead to the filesystem that was made, and fstab must say the same. */
async function checkRoot(
  { rootUuid, rootAt, verity }: Wanted,
  source: string | undefined,
  root: string,
  rootWord: string,
): Promise<void> {
  const fstab = new Tree(root).text("/etc/fstab") ?? "";
  const line = fstab.split("\n").find((text) => text.split(/\s+/)[1] === "/");
  if (line === undefined) throw new Fail("fstab does not name the root filesystem");
  const byUuid = /^root=UUID=(.*)$/.exec(rootWord)?.[1];
  if (verity !== undefined) {
    if (rootWord !== `root=${verityRoot}` || !line.startsWith(`${verityRoot} `))
      throw new Fail(
        `a root with verity is ${verityRoot}; the kernel is told ${rootWord}, and fstab says ${line}`,
      );
  } else if (byUuid === undefined) return;
  else if (byUuid !== rootUuid)
    throw new Fail(`the kernel is told ${rootWord}, and the root filesystem has the UUID ${rootUuid}`);
  else if (!line.startsWith(`UUID=${rootUuid} `)) throw new Fail("fstab does not name the root filesystem");
  const place = rootAt ?? (source === undefined ? undefined : { image: source, offsetBytes: 0 });
  if (place === undefined) return;
  const found = await filesystemAt(place.image, place.offsetBytes);
  if (found === undefined)
    throw new Fail(`${rootWord} leads nowhere: ${place.image} holds no filesystem for the root`);
  if (found.uuid !== rootUuid)
    throw new Fail(
      `${rootWord} leads nowhere: the ${found.type} that was made for the root has the UUID ${found.uuid}`,
    );
}

/** The digests are those of the root as it is now, and the kernel is told where both are. Gives the word of the root hash. */
async function checkVerity(
  plan: VerityPlan,
  cmdline: readonly string[],
  machine: MachinePaths,
): Promise<string> {
  for (const name of ["systemd.verity_root_data", "systemd.verity_root_hash"])
    if (!cmdline.some((word) => word.startsWith(`${name}=`)))
      throw new Fail(`the kernel's command line names no ${name}`);
  const word = await rootHashWord(plan.file);
  const problem = await verityProblem(plan, machine);
  if (problem !== undefined)
    throw new Fail(`the root with verity would not open: ${problem}`, { hint: "deploy or build again" });
  return word;
}

/** Listed by the tree's own tool, which knows how its initramfs is packed. */
async function checkOneInitramfs(
  context: StepContext,
  version: string,
  { modules, programs, cards }: Pick<Wanted, "modules" | "programs"> & { readonly cards: readonly string[] },
): Promise<void> {
  const { stdout } = await context.chroot(["lsinitramfs", `/boot/initrd.img-${version}`], {
    timeoutMs: listMs,
  });
  const builtin = new Tree(context.root).text(`/usr/lib/modules/${version}/modules.builtin`) ?? "";
  checkInitramfs(initramfsContent(stdout, builtin), { version, modules, programs, cards });
}

/** Kernel and initramfs through the links, as GRUB will read them. */
function checkMenu(tree: Tree, { uuid, linksIn }: NonNullable<Wanted["menu"]>, rootWord: string): void {
  const menu = tree.text("/boot/grub/grub.cfg");
  if (menu === undefined) throw new Fail("GRUB's menu /boot/grub/grub.cfg is missing");
  if (!menu.includes(uuid)) throw new Fail("GRUB's menu does not name the filesystem of /boot");
  const lines = [...menu.matchAll(/^\s*linux\s+(.*)$/gm)].map((match) => match[1]!.split(" "));
  if (lines.length === 0) throw new Fail("GRUB's menu starts no kernel");
  if (!lines.every((words) => words.includes(rootWord)))
    throw new Fail("GRUB's menu does not name the root filesystem");
  for (const name of ["vmlinuz", "initrd.img"]) {
    const link = join(linksIn, name);
    const target = tree.link(link);
    if (target === undefined) throw new Fail(`${link} is not the link that GRUB's menu needs`);
    big(tree, join(linksIn, target));
  }
}

/** An update puts a kernel beside those that are there; a full ESP would be noticed then, and not now. */
async function checkRoom(esp: z.output<typeof Esp>, tree: Tree, versions: readonly string[]): Promise<void> {
  if (esp.loader === "grub") return;
  const sizeOf = (path: string) => tree.stat(path)?.size ?? 0;
  const sizes = versions.map(
    (version) => sizeOf(`/boot/vmlinuz-${version}`) + sizeOf(`/boot/initrd.img-${version}`),
  );
  const needed = Math.max(...sizes) + leastBytes;
  const { kernels } = esp;
  const free = await freeBytes(kernels ?? esp, tree.root);
  if (free >= needed) return;
  const mib = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  const what = kernels === undefined ? "ESP" : "extended boot loader partition";
  throw new Fail(
    `the ${what} has ${mib(Math.max(0, free))} left, and the next kernel will take ${mib(needed)}`,
    {
      hint: `make the ${what} larger`,
    },
  );
}

async function freeBytes({ path, sizeBytes, goes }: z.output<typeof Fat>, root: string): Promise<number> {
  const on = Tree.within(root, path);
  const going = goes === undefined ? undefined : on.stat(goes);
  const freed = going?.isDirectory() ? bytesBelow(on, goes!) : (going?.size ?? 0);
  if (sizeBytes !== undefined) return Math.floor(sizeBytes * (1 - fatShare)) - bytesBelow(on, "/") + freed;
  const { bavail, bsize } = await statfs(on.root);
  return bavail * bsize + freed;
}

function bytesBelow(on: Tree, directory: string): number {
  let bytes = 0;
  for (const name of on.list(directory)) {
    const path = join(directory, name);
    const found = on.stat(path)!;
    bytes += found.size + (found.isDirectory() ? bytesBelow(on, path) : 0);
  }
  return bytes;
}

function big(tree: Tree, path: string): void {
  const found = tree.stat(path);
  if (!found?.isFile() || found.size < leastBytes)
    throw new Fail(`${path} is ${found === undefined ? "missing" : `only ${found.size} bytes`}`, {
      hint: "the system would not boot",
    });
}
