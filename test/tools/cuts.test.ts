import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../../src/system/run/run.ts";
import { type Logged, writeLog } from "../helpers/builders/write-log.ts";
import { type Cuts, judgeCuts } from "../helpers/cut/cuts.ts";
import { openExt4 } from "../helpers/cut/ext4.ts";
import { openFat } from "../helpers/cut/fat.ts";
import { bytesOf } from "../helpers/cut/filesystem.ts";
import { replayOf } from "../helpers/cut/journal.ts";
import { ofType, partitionsOf, readTable } from "../helpers/cut/partitions.ts";

const mib = 2 ** 20;
const sector = 512;
const size = 32 * mib;
const esp = { start: 1 * mib, size: 8 * mib };
const roots = {
  old: { start: 9 * mib, size: 8 * mib, uuid: "11111111-1111-4111-8111-111111111111" },
  new: { start: 17 * mib, size: 12 * mib, uuid: "22222222-2222-4222-8222-222222222222" },
};
type Which = keyof typeof roots;

let directory: string;
let disk: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "imgbuild-cuts-"));
  disk = join(directory, "old.raw");
  await oldDisk();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A disk with room for two systems, of which one is there: systemd-boot, an entry, a kernel, a root filesystem. */
async function oldDisk(): Promise<void> {
  writeFileSync(disk, "");
  truncateSync(disk, size);
  const lines = [esp, roots.old, roots.new].map(
    (part, index) =>
      `start=${part.start / sector}, size=${part.size / sector}, type=${index === 0 ? "U" : "L"}`,
  );
  await run(["sfdisk", "--quiet", disk], { stdin: ["label: gpt", ...lines, ""].join("\n") });
  await run([
    ...["mkfs.vfat", "-F", "16", "-s", "1", `--offset=${esp.start / sector}`, disk, String(esp.size / 1024)],
  ]);
  await run([
    "mmd",
    "-i",
    at(disk),
    "::/EFI",
    "::/EFI/BOOT",
    "::/loader",
    "::/loader/entries",
    "::/old",
    "::/new",
  ]);
  await put(disk, "/EFI/BOOT/BOOTX64.EFI", "MZ #### LoaderInfo: systemd-boot 257 ####");
  await put(disk, "/loader/loader.conf", "default old\n");
  await kernelOf("old")(disk);
  await entryOf("old")(disk);
  await rootOf("old")(disk);
}

const at = (image: string) => `${image}@@${esp.start}`;

async function put(image: string, path: string, content: string): Promise<void> {
  const file = join(directory, "put");
  writeFileSync(file, content);
  await run(["mcopy", "-o", "-i", at(image), file, `::${path}`]);
}

type Step = (image: string) => Promise<void>;

const kernelOf =
  (which: Which): Step =>
  async (image) => {
    await put(image, `/${which}/linux`, `${which} kernel `.repeat(2_000));
    await put(image, `/${which}/initrd`, `${which} initramfs `.repeat(4_000));
  };

const entryOf =
  (which: Which): Step =>
  (image) =>
    put(
      image,
      `/loader/entries/${which}.conf`,
      `title ${which}\nlinux /${which}/linux\ninitrd /${which}/initrd\noptions root=UUID=${roots[which].uuid} ro\n`,
    );

const rootOf =
  (which: Which): Step =>
  async (image) => {
    const { start, size: bytes, uuid } = roots[which];
    const tree = join(directory, `tree-${which}`);
    mkdirSync(join(tree, "etc/sub"), { recursive: true });
    for (let index = 0; index < 40; index += 1)
      writeFileSync(join(tree, `etc/file-${index}`), `${which} ${index} `.repeat(500));
    symlinkSync("../etc/sub", join(tree, "etc/link"));
    writeFileSync(join(tree, "etc/sub/deep"), which);
    await run([
      "mke2fs",
      "-q",
      "-F",
      "-t",
      "ext4",
      "-b",
      "4096",
      "-U",
      uuid,
      "-d",
      tree,
      "-E",
      `offset=${start}`,
      image,
      `${bytes / 1024}k`,
    ]);
    rmSync(tree, { recursive: true });
  };

/** In its place, as a switch is made. */
const switchTo: Step = async (image) => {
  const bytes = readFileSync(image);
  bytes.write("default new\n", bytes.indexOf("default old\n"));
  writeFileSync(image, bytes);
};

/** Does the steps, and logs what each changed; all of it is flushed before the next. */
async function logged(steps: readonly Step[]): Promise<{ before: string; log: string }> {
  const image = join(directory, "new.raw");
  let now = readFileSync(disk);
  writeFileSync(image, now);
  const log: Logged[] = [];
  for (const step of steps) {
    await step(image);
    const then = now;
    now = readFileSync(image);
    log.push(...changes(then, now), { type: "flush" });
  }
  const file = join(directory, "log");
  writeFileSync(file, writeLog(log));
  return { before: disk, log: file };
}

/** Sectors that have changed, in writes of 4 KiB at most. */
function changes(before: Buffer, after: Buffer): Logged[] {
  const found: Logged[] = [];
  const most = 8 * sector;
  for (let offset = 0; offset < size; offset += most) {
    const data = after.subarray(offset, offset + most);
    if (!data.equals(before.subarray(offset, offset + most))) found.push({ type: "write", offset, data });
  }
  return found;
}

const judged = async (steps: readonly Step[]) =>
  judgeCuts(await logged(steps), { firmware: "uefi", seed: 1 });
const dead = ({ classes }: Cuts) => classes.filter(({ verdict }) => verdict === "dead");
const verdicts = ({ spans }: Cuts) => spans.map(({ verdict }) => verdict);

describe("power cuts of a build", () => {
  it("leave no dead machine where content comes first, and the switch last and in its place", async () => {
    const cuts = await judged([rootOf("new"), kernelOf("new"), entryOf("new"), switchTo]);
    expect(dead(cuts)).toEqual([]);
    expect(verdicts(cuts)).toEqual(["old", "new"]);
    expect(cuts.states).toBeGreaterThan(100);
  });

  it("leave dead machines where the switch comes before the root filesystem", async () => {
    const cuts = await judged([kernelOf("new"), entryOf("new"), switchTo, rootOf("new")]);
    expect(verdicts(cuts)).toEqual(["old", "dead", "new"]);
    expect(dead(cuts).map(({ why }) => why)).toContain(
      "the new system starts before its root filesystem is whole",
    );
  });

  it("leave dead machines where the switch comes before the kernel", async () => {
    const cuts = await judged([rootOf("new"), entryOf("new"), switchTo, kernelOf("new")]);
    expect(dead(cuts).map(({ why }) => why)).toContain("an initramfs that is not whole");
  });

  it("leave dead machines where kernel and switch are not flushed apart", async () => {
    const both: Step = async (image) => {
      await kernelOf("new")(image);
      await switchTo(image);
    };
    const cuts = await judged([rootOf("new"), entryOf("new"), both]);
    expect(dead(cuts).map(({ why }) => why)).toContain("an initramfs that is not whole");
  });

  it("leave a dead machine where the old root filesystem is written to", async () => {
    const spoil: Step = async (image) => {
      await run(["debugfs", "-w", "-R", "rm /etc/file-1", `${image}?offset=${roots.old.start}`]);
    };
    const cuts = await judged([spoil, rootOf("new"), kernelOf("new"), entryOf("new"), switchTo]);
    expect(dead(cuts).map(({ why }) => why)).toEqual([
      "the old system starts, and its filesystems are written over",
    ]);
  });
});

describe("the readers of the probe", () => {
  const read = (offset: number, length: number) =>
    Buffer.from(readFileSync(disk).subarray(offset, offset + length));

  it("see the partitions that sfdisk made, in both copies", () => {
    const table = readTable(read, size);
    expect(partitionsOf(table, "bios").map(({ start }) => start)).toEqual([
      esp.start,
      roots.old.start,
      roots.new.start,
    ]);
    expect(table.backup).toEqual(table.primary);
    expect(ofType(partitionsOf(table, "uefi"), "esp").map(({ number }) => number)).toEqual([1]);
  });

  it("read files as mtools and mke2fs wrote them", () => {
    const [one, two] = partitionsOf(readTable(read, size), "uefi");
    const fat = openFat(read, one!);
    expect(fat.list("/loader").map((name) => name.toLowerCase())).toEqual(["entries", "loader.conf"]);
    expect(bytesOf(read, fat.file("/old/initrd")).toString()).toBe("old initramfs ".repeat(4_000));
    const ext4 = openExt4(read, two!);
    expect(ext4.uuid).toBe(roots.old.uuid);
    expect(bytesOf(read, ext4.file("/etc/link/deep")).toString()).toBe("old");
    expect([...ext4.everything()]).toHaveLength(40 + 5);
  });

  it("replay a journal as e2fsck does", async () => {
    const image = join(directory, "journal.raw");
    const { start, size: length } = roots.old;
    writeFileSync(image, readFileSync(disk).subarray(start, start + length));
    const block = join(directory, "block");
    writeFileSync(block, Buffer.alloc(8192, "journal"));
    const commands = join(directory, "commands");
    writeFileSync(commands, `jo -c\njw -b 1500,1501 ${block}\njc\n`);
    await run(["debugfs", "-w", "-f", commands, image]);
    const bytes = readFileSync(image);
    const readImage = (offset: number, count: number) => Buffer.from(bytes.subarray(offset, offset + count));
    const partition = { number: 1, type: "", start: 0, size: length };
    const found = replayOf(readImage, openExt4(readImage, partition), partition.start);
    expect(found.map(({ to }) => to / 4096)).toEqual([1500, 1501]);
    await run(["e2fsck", "-y", "-E", "journal_only", image], { accept: [0, 1] });
    const after = readFileSync(image);
    for (const { to, from } of found)
      expect(after.subarray(to, to + 4096)).toEqual(bytes.subarray(from, from + 4096));
  });
});
