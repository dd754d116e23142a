import { createWriteStream, existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { type CpioEntry, cpio } from "../../archive/cpio.ts";
import { debianLoaders, onEsp } from "../../boot/efi-files.ts";
import { rescueCmdline, rescueEntry, rescueEntryPath, rescueMenu } from "../../boot/rescue-entry.ts";
import { recordFiles } from "../../schema/base/deploy.ts";
import { Tree } from "../../tree/tree.ts";
import { messageOf } from "../../util/fail.ts";
import { defineStep, type StepContext } from "../step/step.ts";
import { flushFilesystem, MountedOn } from "./flush.ts";
import { BaseFile, copyRunningBase } from "./keep-base.ts";

const copyMs = 60_000;

/** What the base has besides itself, as far as it came along: none of it is a secret of the definition. */
const deployFiles = [
  "deploy.json",
  "journal.jsonl",
  "ssh/host_key",
  "ssh/host_key.pub",
  "ssh/authorized_keys",
  "ssh/port",
  // By which another computer goes on.
  ...Object.values(recordFiles),
];
/** What the base carries of itself, so that it can write itself again. */
const carriedFiles = ["kernel", "outer", "kit"] as const;

/**
 * Writes the base to the new disks, with a boot entry that starts it, before anything of the new system is there: a machine that loses
 * power while it is built starts it, answers with the same host key, and the build goes on. In this order, each flushed before the next:
 * files, entry, the loader's configuration, loader. Where the base cannot be written the build goes on without.
 */
export const writeRescue = defineStep({
  kind: "write-rescue",
  summary: "write the base to the disk, and what starts it after a power cut",
  schema: z.strictObject({
    /** Of the base, inside of the tree, on the filesystem `on`. */
    directory: z.string().startsWith("/"),
    on: MountedOn,
    files: z.array(BaseFile),
    /** The loader's own configuration, whose default is the base. */
    config: z.strictObject({ path: z.string().startsWith("/"), on: MountedOn, content: z.string() }),
    /** Where the loader finds the base. */
    entry: z.discriminatedUnion("loader", [
      z.strictObject({
        loader: z.literal("grub"),
        /** Of the filesystem `on`, and the directory as GRUB sees it there. */
        uuid: z.string(),
        directory: z.string().startsWith("/"),
        path: z.string().startsWith("/"),
      }),
      z.strictObject({
        loader: z.literal("systemd-boot"),
        directory: z.string().startsWith("/"),
        /** Where the partition of entries is mounted, and the ESP. */
        entries: z.string().startsWith("/"),
        esp: MountedOn,
      }),
    ]),
  }),
  run: async (input, context) => {
    const { directory, on, config, entry } = input;
    const tree = new Tree(context.root);
    try {
      await writeBase(tree, input, context);
      await flushFilesystem(on, context);
      const words = rescueCmdline(await readFile(join(context.machine.proc, "cmdline"), "utf8"));
      const file =
        entry.loader === "grub"
          ? { path: entry.path, content: rescueMenu(entry, words) }
          : {
              path: join(entry.entries, rescueEntryPath),
              content: rescueEntry(entry.directory, words),
            };
      put(tree, file.path, file.content);
      await flushFilesystem(on, context);
    } catch (error) {
      tree.remove(directory);
      context.log.warn(
        `the base is not on the disk: a power cut would leave nothing that starts until the build is done: ${messageOf(error)}`,
      );
    }
    put(tree, config.path, config.content);
    await flushFilesystem(config.on, context);
    if (entry.loader === "systemd-boot") await putLoaders(tree, entry.esp, context);
  },
});

type Wanted = z.output<typeof writeRescue.schema>;

async function writeBase(
  tree: Tree,
  { directory, files }: Wanted,
  { machine }: Pick<StepContext, "machine">,
): Promise<void> {
  tree.remove(directory);
  tree.makeDirectories(directory);
  const to = tree.directory(directory);
  // Until it is there nothing starts, so it is not read once more: the next deploy compares what it takes from here.
  await copyRunningBase(files, to, machine);
  const own = join(machine.run, "imgbuild");
  const entries = async (names: readonly string[], at = "") =>
    await Promise.all(names.map((name) => entryOf(join(own, at), join(at, name), name)));
  await archive(join(to, "carried"), await entries(carriedFiles, "base"));
  const there = deployFiles.filter((name) => existsSync(join(own, name)));
  await archive(join(to, "deploy"), await entries(there));
}

async function entryOf(directory: string, as: string, name: string): Promise<CpioEntry> {
  const path = join(directory, name);
  const { size } = await stat(path);
  // The journal grows while it is read.
  const content = name.endsWith(".jsonl") ? { content: await readFile(path) } : { path, size };
  return { type: "file", name: `imgbuild/${as}`, mode: 0o600, ...content };
}

async function archive(to: string, entries: readonly CpioEntry[]): Promise<void> {
  await pipeline(Readable.from(cpio(entries)), createWriteStream(to, { mode: 0o600, flush: true }));
}

/** The base's own systemd-boot, in both places, the one that firmware tries unasked last. */
async function putLoaders(tree: Tree, esp: Wanted["on"], context: StepContext): Promise<void> {
  for (const name of [onEsp.systemdBoot, onEsp.removable]) {
    const path = join(esp.path, name);
    tree.makeDirectories(dirname(path));
    tree.remove(path);
    const to = join(tree.directory(dirname(path)), name.split("/").at(-1)!);
    await context.tool(["cp", "--", debianLoaders.systemdBoot, to], { timeoutMs: copyMs });
    await flushFilesystem(esp, context);
  }
}

function put(tree: Tree, path: string, content: string): void {
  tree.makeDirectories(dirname(path));
  tree.write(path, content);
}
