import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { mountDevice, swapFile, unmountTree } from "../../../../src/steps/disk/mount.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";

const mib = 2 ** 20;
const part = { number: 1, startBytes: mib, sizeBytes: mib };

function bench(answers: Answers = {}) {
  const made = fakeMachine();
  const disk = made.disk("vda", 4 * mib, [part]);
  const other = made.disk("vdb", 4 * mib);
  const { context, asked, options } = stepBench({ machine: made.machine, answers });
  const mounted = (...points: (readonly [point: string, type: string])[]) =>
    made.put(
      "proc/self/mountinfo",
      points.map(([point, type]) => `22 1 254:1 / ${point} rw - ${type} /dev/x rw\n`).join(""),
    );
  const device = { partition: made.part(disk, part) };
  return { ...made, device, other, context, asked, options, mounted, root: context.root };
}

describe("mount", () => {
  const mount = async (
    { context, device }: ReturnType<typeof bench>,
    more: Partial<z.input<typeof mountDevice.schema>> = {},
  ) => await mountDevice.run(mountDevice.schema.parse({ device, type: "ext4", path: "/", ...more }), context);

  it("mounts a filesystem at a directory of the tree, which is made", async () => {
    const one = bench();
    await mount(one);
    await mount(one, { path: "/srv/data", type: "xfs", options: ["discard"] });
    const source = join(one.machine.dev, "vda1");
    expect(one.asked).toEqual([
      `mount -t ext4 -o noatime ${source} ${one.root}/`,
      `mount -t xfs -o noatime,discard ${source} ${one.root}/srv/data`,
    ]);
    expect(lstatSync(join(one.root, "srv/data")).isDirectory()).toBe(true);
  });

  it("keeps FAT to root, without its own options", async () => {
    const one = bench();
    await mount(one, { type: "vfat", path: "/efi", options: ["discard"] });
    expect(one.asked[0]).toContain("mount -t vfat -o umask=0077 ");
  });

  it("names a btrfs' other members", async () => {
    const one = bench();
    await mount(one, { type: "btrfs", others: [{ disk: one.other }], options: ["subvol=@"] });
    expect(one.asked[0]).toContain(`-o noatime,subvol=@,device=${join(one.machine.dev, "vdb")} `);
  });

  it("leaves what is mounted there already, and refuses another kind of filesystem", async () => {
    const one = bench();
    one.mounted([`${one.root}/srv`, "ext4"], [`${one.root}/srv/deep`, "tmpfs"]);
    await mount(one, { path: "/srv" });
    expect(one.asked).toEqual([]);
    await expect(mount(one, { path: "/srv/deep" })).rejects.toThrow(
      `${one.root}/srv/deep is a mount point already, of /dev/x`,
    );
  });

  it("mounts where a link of the tree leads in the tree", async () => {
    const one = bench();
    mkdirSync(join(one.root, "var"), { recursive: true });
    symlinkSync("/var", join(one.root, "srv"));
    await mount(one, { path: "/srv/x" });
    expect(one.asked[0]).toMatch(new RegExp(` ${one.root}/var/x$`));
  });

  it("refuses a device that is not there", async () => {
    const one = bench();
    await expect(mount(one, { device: { luks: { name: "c", uuid: "u" } } })).rejects.toThrow("is not there");
    expect(one.asked).toEqual([]);
  });
});

describe("unmount", () => {
  it("flushes and unmounts what is mounted, in the order given, and nothing else", async () => {
    const { context, asked, options, mounted, root } = bench();
    for (const path of ["srv", "efi", "plain"]) mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, "file"), "");
    mounted([root, "ext4"], [`${root}/srv`, "xfs"], [`${root}/file`, "ext4"], ["/efi", "vfat"]);
    await unmountTree.run({ paths: ["/srv", "/efi", "/plain", "/none", "/file", "/"] }, context);
    expect(asked).toEqual([
      `sync -f ${root}/srv`,
      `umount ${root}/srv`,
      `sync -f ${root}/`,
      `umount ${root}/`,
    ]);
    expect(options).toEqual(Array(4).fill({ timeoutMs: 1_800_000 }));
  });

  it("ends with what does not unmount", async () => {
    const { context, mounted, root } = bench({ umount: new Error("target is busy") });
    mkdirSync(root, { recursive: true });
    mounted([root, "ext4"]);
    await expect(unmountTree.run({ paths: ["/"] }, context)).rejects.toThrow("target is busy");
  });
});

describe("swap-file", () => {
  const uuid = "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718";
  const make = (sizeBytes = mib) => {
    const allocate = (argv: readonly string[]) => truncateSync(argv.at(-1)!, sizeBytes);
    const one = bench({ fallocate: allocate });
    mkdirSync(one.root);
    const run = async () => await swapFile.run({ path: "/var/swap/file", sizeBytes: mib, uuid }, one.context);
    return { ...one, run, file: join(one.root, "var/swap/file") };
  };

  it("allocates a file of its owner alone, and marks it as swap", async () => {
    const { run, asked, file } = make();
    await run();
    expect(asked).toEqual([`fallocate --length ${mib} ${file}`]);
    expect(lstatSync(file).mode & 0o777).toBe(0o600);
    const content = readFileSync(file);
    expect(content.length).toBe(mib);
    expect(content.subarray(4086, 4096).toString()).toBe("SWAPSPACE2");
    expect(content.subarray(1036, 1052).toString("hex")).toBe(uuid.replaceAll("-", ""));
  });

  it("refuses what is there already, a link too", async () => {
    const { run, root, asked, file } = make();
    mkdirSync(join(root, "var/swap"), { recursive: true });
    const outside = join(root, "..", "outside");
    writeFileSync(outside, "as it was\n");
    symlinkSync(outside, file);
    await expect(run()).rejects.toThrow("/var/swap/file is there already, and was to be the swap file");
    expect(asked).toEqual([]);
    expect(readFileSync(outside, "utf8")).toBe("as it was\n");
  });

  it("refuses a file that has not become as long as asked", async () => {
    const { run, file } = make(mib - 4096);
    await expect(run()).rejects.toThrow(
      `the swap file /var/swap/file has ${mib - 4096} bytes instead of ${mib}`,
    );
    expect(existsSync(file)).toBe(true);
    expect(readFileSync(file).includes("SWAPSPACE2")).toBe(false);
  });
});
