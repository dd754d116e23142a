import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fixedTimeEnv } from "../../../../src/disks/filesystem/mkfs.ts";
import { mkfsExt4Image } from "../../../../src/steps/image/mkfs-ext4-image.ts";
import { mkfsVfatImage } from "../../../../src/steps/image/mkfs-vfat-image.ts";
import { partitionImage } from "../../../../src/steps/image/partition-image.ts";
import { patchExt4Image } from "../../../../src/steps/image/patch-ext4-image.ts";
import { swapFileImage } from "../../../../src/steps/image/swap-file-image.ts";
import { swapPartitionImage } from "../../../../src/steps/image/swap-partition-image.ts";
import { allSteps } from "../../../../src/steps/registry.ts";
import { readFromVfat } from "../../../helpers/checks/vfat.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const mib = 2 ** 20;
const uuid = "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718";
const epoch = 1_000_000_000;

/** A directory with an image, a tree, and a link where an image is to be that is none. */
function bench(answers: Answers = {}) {
  const dir = tempDir();
  const [image, root] = [join(dir, "disk.raw"), join(dir, "tree")];
  mkdirSync(root);
  writeFileSync(image, Buffer.alloc(mib, 1));
  const one = stepBench({ root, answers });
  const put = (path: string, content = "") => {
    mkdirSync(join(dir, path, ".."), { recursive: true });
    writeFileSync(join(dir, path), content);
  };
  return { dir, image, root, put, ...one };
}

describe("what makes images", () => {
  it.each<[string, (image: string, root: string) => object]>([
    [
      "mkfs-ext4-image",
      (image, directory) => ({ image, directory, without: [], mount: "/", sizeBytes: mib, reservedBytes: 0 }),
    ],
    ["mkfs-vfat-image", (image, directory) => ({ image, directory, mountPoint: "/efi", sizeBytes: mib })],
    ["patch-ext4-image", (image) => ({ image, changes: [], mount: "/" })],
    ["swap-file-image", (image) => ({ image, path: "/swap", sizeBytes: mib })],
    ["swap-partition-image", (image) => ({ image, sizeBytes: mib })],
  ])("writes to nothing but a file: %s", async (kind, input) => {
    const { context, asked, root } = bench();
    const data = {
      offsetBytes: mib,
      epoch,
      uuid,
      hashSeed: uuid,
      volumeId: "12345678",
      ...input("/dev/null", root),
    };
    await expect(allSteps.get(kind)!.run(data, context)).rejects.toThrow(
      "/dev/null is neither a regular file",
    );
    expect(asked).toEqual([]);
  });
});

describe("partition-image", () => {
  const make = async ({ context, image }: ReturnType<typeof bench>) =>
    await partitionImage.run({ image, sizeBytes: 3 * mib, script: "label: gpt\n" }, context);

  it("makes a sparse file in the place of what was there, and has sfdisk write its table", async () => {
    const one = bench();
    await make(one);
    const { size, blocks, mode } = lstatSync(one.image);
    expect([size, blocks, mode & 0o777]).toEqual([3 * mib, 0, 0o644]);
    expect(one.asked).toEqual([
      `sfdisk --quiet --no-reread --no-tell-kernel --wipe always --wipe-partitions always ${one.image}`,
    ]);
    expect(one.options).toEqual([{ stdin: "label: gpt\n" }]);
  });

  it("makes it where nothing was, and refuses what is no file", async () => {
    const one = bench();
    await make({ ...one, image: join(one.dir, "new.raw") });
    expect(lstatSync(join(one.dir, "new.raw")).size).toBe(3 * mib);
    await expect(make({ ...one, image: "/dev/null" })).rejects.toThrow("/dev/null is neither");
    await expect(make({ ...one, image: join(one.image, "x") })).rejects.toThrow("ENOTDIR");
    expect(existsSync("/dev/null")).toBe(true);
  });

  it("replaces a link to a file, and not the file", async () => {
    const one = bench();
    symlinkSync("disk.raw", join(one.dir, "link"));
    await make({ ...one, image: join(one.dir, "link") });
    expect(lstatSync(join(one.dir, "link")).isFile()).toBe(true);
    expect(readFileSync(one.image)[0]).toBe(1);
  });
});

describe("swap-partition-image", () => {
  it("writes the header at its place, and nothing else", async () => {
    const { image, context } = bench();
    await swapPartitionImage.run(
      { image, offsetBytes: 8192, sizeBytes: 64 * 4096, uuid, label: "swap" },
      context,
    );
    const content = readFileSync(image);
    expect(content.length).toBe(mib);
    expect(content.subarray(8192 + 4086, 8192 + 4096).toString()).toBe("SWAPSPACE2");
    expect(content.subarray(8192 + 1052, 8192 + 1056).toString()).toBe("swap");
    const rest = Buffer.concat([content.subarray(0, 8192), content.subarray(8192 + 4096)]);
    expect(rest.every((byte) => byte === 1)).toBe(true);
  });
});

describe("swap-file-image", () => {
  const sizeBytes = 16 * mib;
  const good = `Inode: 12 Mode:  0600\nUser: 0 Size: ${sizeBytes}\nLinks: 1   Blockcount: ${sizeBytes / 512}\n`;
  const make = async ({ context, image }: ReturnType<typeof bench>) =>
    await swapFileImage.run(
      { image, offsetBytes: mib, path: "/var/swap/file", sizeBytes, uuid, epoch },
      context,
    );

  it("has debugfs make it, of root's alone and without holes, and looks at it", async () => {
    let header: unknown;
    const one = bench({
      "debugfs -w": (argv) => {
        header = readFileSync(`${argv.at(-1)!.split("?")[0]}.swap-header`)
          .subarray(4086)
          .toString();
        expect(lstatSync(`${argv.at(-1)!.split("?")[0]}.swap-header`).mode & 0o777).toBe(0o600);
      },
      "debugfs -R": { stdout: good },
    });
    await make(one);
    expect(one.asked).toEqual([
      `debugfs -w -f - ${one.image}?offset=${mib}`,
      `debugfs -R stat /var/swap/file ${one.image}?offset=${mib}`,
    ]);
    expect(String(one.options[0]!.stdin).split("\n")).toEqual([
      "mkdir /var",
      "mkdir /var/swap",
      expect.stringMatching(/^write .*disk\.raw\.swap-header.* \/var\/swap\/file$/),
      "set_inode_field /var/swap/file mode 0100600",
      "set_inode_field /var/swap/file uid 0",
      "set_inode_field /var/swap/file gid 0",
      `fallocate /var/swap/file 1 ${sizeBytes / 4096 - 1}`,
      `set_inode_field /var/swap/file size ${sizeBytes}`,
      ...["atime", "ctime", "mtime", "crtime"].map(
        (name) => `set_inode_field /var/swap/file ${name} @${epoch}`,
      ),
      "",
    ]);
    expect(one.options.map(({ env }) => env)).toEqual([fixedTimeEnv(epoch), fixedTimeEnv(epoch)]);
    expect(header).toBe("SWAPSPACE2");
    expect(existsSync(`${one.image}.swap-header`)).toBe(false);
  });

  it.each([
    ["with holes", good.replace(/Blockcount: \d+/, `Blockcount: ${sizeBytes / 512 - 1}`)],
    ["without a count of blocks", good.replace("Blockcount", "Blocks")],
    ["too small", good.replace(/Size: \d+/, "Size: 4096")],
    ["open to others", good.replace("0600", "0644")],
    ["that is not there", ""],
  ])("refuses a file %s, and leaves nothing beside the image", async (_what, stdout) => {
    const one = bench({ "debugfs -R": { stdout, stderr: "words of debugfs" } });
    await expect(make(one)).rejects.toMatchObject({
      message: expect.stringMatching(
        /^debugfs could not make the swap file \/var\/swap\/file\n.*words of debugfs$/s,
      ),
      hint: expect.stringMatching(/larger/),
    });
    expect(existsSync(`${one.image}.swap-header`)).toBe(false);
  });

  it.each(["/a b", "swap", "/x;y", "/"])("takes no path %j", (path) => {
    const input = { image: "/i", offsetBytes: 1, path, sizeBytes, uuid, epoch };
    expect(swapFileImage.schema.safeParse(input).success).toBe(false);
  });
});

describe("patch-ext4-image", () => {
  const patch = async ({ context, image }: ReturnType<typeof bench>) =>
    await patchExt4Image.run({ image, offsetBytes: mib, changes: [], mount: "/srv", epoch }, context);

  it("gives debugfs the changes, and is content when it says nothing but its version", async () => {
    const one = bench({ debugfs: { stderr: "debugfs 1.47.2 (1-Jan-2025)\n" } });
    await patch(one);
    expect(one.asked).toEqual([`debugfs -w -f - ${one.image}?offset=${mib}`]);
    expect(one.options[0]).toMatchObject({
      ...{ env: fixedTimeEnv(epoch), timeoutMs: 3_600_000, signal: one.context.signal },
      stdin: expect.any(String),
    });
  });

  it.each([
    ["debugfs 1.47.2 (1-Jan-2025)\nmkdir: No space\n", "for /srv:\nmkdir: No space"],
    ["mkdir: No space\n", "for /srv:\nmkdir: No space"],
    ["x debugfs 1.47\n", "for /srv:\nx debugfs 1.47"],
  ])("fails when it says %j", async (stderr, message) => {
    await expect(patch(bench({ debugfs: { stderr } }))).rejects.toMatchObject({
      message: `debugfs could not change the filesystem ${message}`,
      hint: expect.stringMatching(/larger/),
    });
  });

  it("shows the beginning of many words", async () => {
    const failed = await patch(bench({ debugfs: { stderr: "x".repeat(5_000) } })).catch(
      (error: Error) => error,
    );
    expect((failed as Error).message.length).toBeLessThan(2_100);
  });
});

describe("mkfs-ext4-image", () => {
  const input = ({ image, root }: ReturnType<typeof bench>) => ({
    ...{ image, offsetBytes: mib, sizeBytes: 64 * mib, uuid, hashSeed: uuid, directory: root, mount: "/" },
    ...{ without: [] as string[], reservedBytes: 0, epoch },
  });

  it("fills it from the tree within its bound, with times that do not depend on the making", async () => {
    const one = bench();
    one.put("tree/etc/file", "x");
    await mkfsExt4Image.run(input(one), one.context);
    expect(one.asked).toHaveLength(1);
    expect(one.asked[0]).toMatch(new RegExp(`^mke2fs .*offset=${mib}.* -d ${one.root} ${one.image} 65536k$`));
    expect(one.options[0]).toMatchObject({
      ...{ env: fixedTimeEnv(epoch), timeoutMs: 3_600_000, signal: one.context.signal },
      hint: expect.stringMatching(/make the partition larger/),
    });
    expect(lstatSync(join(one.root, "etc/file")).mtimeMs).toBe(epoch * 1000);
  });

  it("leaves out what other filesystems hold meanwhile, and puts it back as it was", async () => {
    const seen: unknown[] = [];
    const one = bench({
      mke2fs: () => {
        const at = join(one.root, "srv");
        seen.push(
          readdirSync(at),
          lstatSync(at).mode & 0o7777,
          lstatSync(at).mtimeMs,
          existsSync(join(one.root, "etc/x")),
        );
      },
    });
    one.put("tree/srv/deep/file", "kept");
    one.put("tree/etc/x");
    mkdirSync(join(one.root, "empty"));
    chmodSync(join(one.root, "srv"), 0o2750);
    const without = ["srv", "empty", "made"].map((name) => join(one.root, name));
    await mkfsExt4Image.run({ ...input(one), without }, one.context);
    expect(seen).toEqual([[], 0o2750, epoch * 1000, true]);
    expect(readFileSync(join(one.root, "srv/deep/file"), "utf8")).toBe("kept");
    expect(lstatSync(one.root).mtimeMs).toBe(epoch * 1000);
    expect(readdirSync(one.dir).sort()).toEqual(["disk.raw", "tree"]);
    expect(readdirSync(one.root).sort()).toEqual(["empty", "etc", "made", "srv"]);
  });

  it("puts everything back when it fails", async () => {
    const one = bench({ mke2fs: new Error("full") });
    for (const name of ["srv", "home"]) one.put(`tree/${name}/file`, name);
    const without = ["srv", "home"].map((name) => join(one.root, name));
    await expect(mkfsExt4Image.run({ ...input(one), without }, one.context)).rejects.toThrow("full");
    for (const name of ["srv", "home"]) expect(readFileSync(join(one.root, name, "file"), "utf8")).toBe(name);
  });

  it("refuses a directory to which a link leads", async () => {
    const one = bench();
    mkdirSync(join(one.root, "data"));
    symlinkSync("data", join(one.root, "srv"));
    const at = join(one.root, "srv");
    await expect(mkfsExt4Image.run({ ...input(one), directory: at }, one.context)).rejects.toThrow(
      "symbolic link",
    );
    await expect(mkfsExt4Image.run({ ...input(one), without: [at] }, one.context)).rejects.toThrow(
      "symbolic link",
    );
    expect(one.asked).toEqual([]);
  });

  it("refuses what does not fit before it is tried", async () => {
    const one = bench();
    one.put("tree/file", "x".repeat(mib));
    await expect(mkfsExt4Image.run({ ...input(one), sizeBytes: mib }, one.context)).rejects.toThrow("/");
    expect(one.asked).toEqual([]);
  });
});

describe("mkfs-vfat-image", () => {
  const make = async (one: ReturnType<typeof bench>, sizeBytes = 64 * mib) =>
    await mkfsVfatImage.run(
      {
        ...{ image: one.image, offsetBytes: mib, sizeBytes, volumeId: "12345678", epoch },
        ...{ directory: join(one.dir, "esp"), mountPoint: join(one.root, "efi") },
      },
      one.context,
    );

  it("fills it by mtools, parents first, files of a directory at once", async () => {
    const one = bench();
    for (const path of ["loader/loader.conf", "EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/A.EFI", "top"])
      one.put(`esp/${path}`);
    await make(one);
    const drive = `${one.image}@@${mib}`;
    const at = (path: string) => join(one.dir, "esp", path);
    expect(one.asked[0]).toMatch(/^mkfs\.vfat .*12345678 .*--offset=2048 -h 2048 .* 65536$/);
    expect(one.asked.slice(1)).toEqual([
      `mmd -i ${drive} -D s ::/EFI ::/EFI/BOOT ::/loader`,
      `mcopy -i ${drive} -o ${at("top")} ::/`,
      `mcopy -i ${drive} -o ${at("EFI/BOOT/A.EFI")} ${at("EFI/BOOT/BOOTX64.EFI")} ::/EFI/BOOT`,
      `mcopy -i ${drive} -o ${at("loader/loader.conf")} ::/loader`,
    ]);
    expect(one.options).toEqual(Array(5).fill({ env: fixedTimeEnv(epoch) }));
  });

  it("copies nothing where nothing is to be in it", async () => {
    const one = bench();
    mkdirSync(join(one.dir, "esp"));
    await make(one);
    expect(one.asked).toHaveLength(1);
  });

  it("refuses a tree that has files where it will be mounted, and shows some of them", async () => {
    const one = bench();
    for (const name of ["a", "b", "c", "d"]) one.put(`tree/efi/${name}`);
    mkdirSync(join(one.dir, "esp"));
    await expect(make(one)).rejects.toMatchObject({
      message: expect.stringMatching(/efi has files \(a, b, c\) that a boot partition would hide$/),
      hint: expect.stringMatching(/bootloader's steps/),
    });
    expect(one.asked).toEqual([]);
  });

  it("refuses more than fits beside the tables, and takes what just fits", async () => {
    const one = bench();
    one.put("esp/a", "x".repeat(98));
    await make(one, 100);
    one.put("esp/b/c", "x");
    await expect(make(one, 100)).rejects.toMatchObject({
      message: "the bootloader's files take 99 bytes, but their partition has only 100",
      hint: expect.stringMatching(/larger/),
    });
  });

  it("refuses what FAT does not know", async () => {
    const one = bench();
    mkdirSync(join(one.dir, "esp"));
    symlinkSync("x", join(one.dir, "esp/link"));
    await expect(make(one)).rejects.toThrow(
      "link is neither a file nor a directory, and FAT knows nothing else",
    );
  });
});

describe("readFromVfat", () => {
  it("gives a file's bytes, or nothing where there is none", async () => {
    const scratch = join(tempDir(), "scratch");
    const found = bench({ mcopy: () => writeFileSync(scratch, "bytes") });
    const bytes = await readFromVfat(found.context, found.image, 7, "/loader/x", scratch);
    expect(bytes?.toString()).toBe("bytes");
    expect(found.asked).toEqual([`mcopy -n -o -i ${found.image}@@7 ::/loader/x ${scratch}`]);
    expect(found.options[0]!.env).toEqual(fixedTimeEnv(1));
    const none = bench({ mcopy: { code: 1 } });
    expect(await readFromVfat(none.context, none.image, 7, "/x", scratch)).toBeUndefined();
  });
});
