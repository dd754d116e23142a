import { mkdirSync, rmdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { allSteps } from "../../../../src/steps/registry.ts";
import { actionLines, runActions } from "../../../../src/steps/step/actions.ts";
import type { Action } from "../../../../src/steps/step/step.ts";
import { shellWord } from "../../../../src/util/shell-word.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const mib = 2 ** 20;
const uuid = "2f6c1a34-8e0d-4b57-9a21-c3d4e5f60718";
const part = { number: 1, startBytes: mib, sizeBytes: 512 * mib };
const second = { number: 2, startBytes: 600 * mib, sizeBytes: 2 * mib };
const key = { secret: "key", trim: true };

/** A machine with a disk that has a partition, and with an image, a tree and a directory for files on their way. */
function workshop() {
  const made = fakeMachine();
  const disk = made.disk("vda", 1024 * mib, [part, second]);
  const dir = tempDir();
  const [image, root, scratch] = ["disk.raw", "tree", "scratch"].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  for (const name of ["dev", "proc", "sys", "run", "srv", "efi"])
    mkdirSync(join(root, name), { recursive: true });
  writeFileSync(image, Buffer.alloc(4 * mib));
  return { ...made, disk, partition: { partition: made.part(disk, part) }, image, root, scratch };
}
type Workshop = ReturnType<typeof workshop>;

interface Example {
  readonly input: (one: Workshop) => object;
  readonly answers?: Answers;
  /** What makes the step do all that it may do. */
  readonly ready?: (one: Workshop) => void;
  /** What a word of its own is printed as. */
  readonly words?: Readonly<Record<string, string>>;
}
const inFile = { offsetBytes: mib, sizeBytes: mib, epoch: 7 };
const openedLuks = ({ block }: Workshop) =>
  block("dm-0", { "dm/name": "crypt", "dm/uuid": `CRYPT-LUKS2-${uuid.replaceAll("-", "")}-crypt` });
const written = (argv: readonly string[]) =>
  writeFileSync(argv.at(argv.indexOf("--output") + 1)!, Buffer.alloc(1024));

const examples: Readonly<Record<string, Example>> = {
  // What it fetches and unpacks, the tests with real tools show.
  "ask-backup": { input: () => ({ script: "", secrets: [], packages: [] }) },
  "btrfs-subvolumes": {
    input: ({ partition, disk }) => ({ device: partition, others: [{ disk }], names: ["@"] }),
    answers: {
      mount: (argv) => mkdirSync(join(argv.at(-1)!, "@")),
      umount: (argv) => rmdirSync(join(argv.at(-1)!, "@")),
    },
  },
  "close-array": {
    input: () => ({ name: "root", uuid }),
    ready: ({ block }) => block("md127", { "md/uuid": uuid }),
    words: { "/md127": "/md/root" },
  },
  "close-group": {
    input: () => ({ name: "vg" }),
    ready: ({ block }) => block("dm-1", { "dm/name": "vg-root" }),
  },
  "close-luks": { input: () => ({ name: "crypt", uuid }), ready: openedLuks },
  "enroll-clevis": {
    input: ({ partition }) => ({ device: partition, secret: "key", pin: "tpm2", config: '{"pcr_ids":"7"}' }),
  },
  flush: { input: () => ({ paths: ["/"] }) },
  "install-grub": {
    input: ({ image, scratch }) => ({
      ...{ target: { image }, startBytes: mib, sizeBytes: mib, scratch },
      config: "set prefix=x\n",
    }),
    answers: { "grub-mkimage": written, cp: (argv) => writeFileSync(argv.at(-1)!, Buffer.alloc(512)) },
  },
  "leave-group": {
    input: ({ partition }) => ({ name: "vg", members: [partition] }),
    ready: ({ block }) => block("dm-1", { "dm/name": "imgbuild-look-0-vg" }),
  },
  "look-at-group": {
    input: ({ partition }) => ({ name: "vg", members: [partition] }),
    answers: { losetup: { stdout: "/dev/loop7\n" } },
    words: { "/dev/loop7": "<that loop device>", "0 1048576 snapshot": "0 <sectors> snapshot" },
  },
  "make-storage": {
    input: ({ partition, disk }) => ({
      commands: [
        { program: "wipefs", args: ["--all", { device: { disk } }] },
        {
          program: "cryptsetup",
          args: ["luksAddKey", "--keyfile-size=FIRST", { device: partition }],
          secrets: [
            { name: "key", trim: true },
            { name: "recovery", trim: true },
          ],
        },
      ],
      epoch: 7,
    }),
    words: { "--keyfile-size=4": "--keyfile-size=<length of key>" },
  },
  "make-verity": {
    input: ({ partition, disk, dir }) => ({
      data: { disk, ...second },
      tree: partition.partition,
      ...{ uuid, salt: "ab".repeat(32), file: join(dir, "root-hash") },
    }),
    answers: { veritysetup: { stdout: `Root hash: ${"0f".repeat(32)}\n` } },
  },
  "mkfs-ext4": {
    input: () => ({ device: { volume: { group: "vg", name: "root" } }, uuid, hashSeed: uuid, label: "a" }),
    ready: ({ block }) => block("dm-1", { "dm/name": "vg-root", "dm/uuid": "LVM-x" }, "mapper/vg-root"),
  },
  "mkfs-ext4-image": {
    input: ({ image, root }) => ({
      ...{
        ...inFile,
        sizeBytes: 64 * mib,
        image,
        directory: root,
        mount: "/",
        without: [],
        reservedBytes: 0,
      },
      ...{ uuid, hashSeed: uuid },
    }),
  },
  "mkfs-vfat": {
    input: ({ partition }) => ({ device: partition, volumeId: "1234abcd", epoch: 7 }),
    words: { "-s 8": "-s <sectors per cluster>" },
  },
  "mkfs-vfat-image": {
    input: ({ image, root }) => ({
      ...{ ...inFile, sizeBytes: 64 * mib, image, volumeId: "1234abcd" },
      ...{ directory: join(root, "srv"), mountPoint: join(root, "efi") },
    }),
  },
  mount: {
    input: ({ partition, disk }) => ({
      ...{ device: partition, others: [{ disk }], type: "btrfs", path: "/srv" },
      options: ["subvol=@"],
    }),
  },
  "open-array": { input: ({ partition }) => ({ name: "root", uuid, members: [partition] }) },
  "open-group": { input: ({ partition, disk }) => ({ name: "vg", members: [partition, { disk }] }) },
  "open-luks": {
    input: ({ partition, disk }) => ({
      ...{ device: partition, header: { disk }, name: "crypt", uuid, ...key, discard: true },
    }),
  },
  "partition-disk": { input: ({ disk }) => ({ disk, script: "label: gpt\nunit: sectors\n" }) },
  "partition-image": { input: ({ image }) => ({ image, sizeBytes: mib, script: "label: gpt\n" }) },
  "patch-ext4-image": {
    input: ({ image }) => ({
      ...{ image, offsetBytes: mib, mount: "/", epoch: 7 },
      changes: [{ do: "unlink", path: "/a b" }],
    }),
  },
  "restore-data": {
    input: () => ({ program: "/usr/local/sbin/imgbuild-backup", secrets: ["key"], paths: ["/srv"] }),
  },
  "remove-volumes": {
    input: ({ partition }) => ({ group: "vg", names: ["root"], members: [partition] }),
    answers: { "lvm lvs": { stdout: "  root\n" } },
  },
  "swap-file": {
    input: () => ({ path: "/srv/swap", sizeBytes: mib, uuid }),
    answers: { fallocate: (argv) => truncateSync(argv.at(-1)!, mib) },
  },
  "swap-file-image": {
    input: ({ image }) => ({ image, offsetBytes: mib, path: "/swap", sizeBytes: mib, uuid, epoch: 7 }),
    answers: { "debugfs -R": { stdout: `Mode:  0600 Size: ${mib}\nBlockcount: ${mib / 512}\n` } },
  },
  "swap-partition-image": { input: ({ image }) => ({ image, offsetBytes: mib, sizeBytes: mib, uuid }) },
  unmount: {
    input: () => ({ paths: ["/srv", "/"] }),
    ready: ({ put, root }) =>
      put(
        "proc/self/mountinfo",
        [root, join(root, "srv")].map((at) => `22 1 254:1 / ${at} rw - ext4 /dev/x rw\n`).join(""),
      ),
  },
};

/** What is printed of command lines, with what comes on stdin as text. */
function printedCommands(lines: readonly string[]): string[] {
  const commands: string[] = [];
  let inText = false;
  for (const line of lines.map((one) => one.trim())) {
    if (inText) inText = line !== "END";
    else if (!line.startsWith("#")) {
      inText = line.endsWith(" << END");
      commands.push(line.replace(/ <<? (END|<secret .*)$/, ""));
    }
  }
  return commands;
}

describe("a step that is a list of actions", () => {
  const steps = [...allSteps.values()].filter(({ actions }) => actions !== undefined);

  it("is every step, but for those that decide by what they see, or work in the tree or on packages", () => {
    const rest = [...allSteps.values()].filter(({ actions }) => actions === undefined);
    expect(rest.map(({ kind }) => kind).sort()).toEqual([
      ...["ask-machine", "ask-tang", "bootstrap-tree", "check-kept", "check-tree", "close-disks"],
      ...["finish-tree", "install-grub-efi", "install-leaves", "install-packages", "install-systemd-boot"],
      ...[
        "keep-base",
        "keep-rescue",
        "make-initramfs",
        "make-locale",
        "make-system-users",
        "make-users",
        "name-boot-entry",
        "patch-files",
      ],
      ...[
        "place-files",
        "place-host-keys",
        "place-initramfs-key",
        "provision",
        "set-services",
        "sign-loader",
        "switch-entry",
      ],
      ...["unpack-tree", "verify-boot", "write-files", "write-rescue", "write-secrets"],
    ]);
    expect(Object.keys(examples).sort()).toEqual(steps.map(({ kind }) => kind).sort());
  });

  it.each(steps.map((step) => [step.kind, step] as const))(
    "%s runs what is printed of it",
    async (kind, step) => {
      const { input, answers = {}, ready = () => {}, words = {} } = examples[kind]!;
      const one = workshop();
      ready(one);
      const ran: string[][] = [];
      const secrets = { key: "open\n", recovery: "other\n" };
      const { context } = stepBench({ machine: one.machine, root: one.root, answers, secrets });
      const tool: typeof context.tool = async (argv, options) => {
        ran.push([...argv]);
        return await context.tool(argv, options);
      };
      const data = step.schema.parse(input(one));
      const lines = actionLines(step.actions!(data));
      await step.run(data, { ...context, tool });
      // Where a plan is printed there is no machine yet: what it has instead of a path.
      const places: [string, string][] = [
        [join(one.machine.dev, "vda1"), "<partition 1 of disk the-vda>"],
        [join(one.machine.dev, "vda2"), "<partition 2 of disk the-vda>"],
        [join(one.machine.dev, "vda"), "<disk the-vda>"],
        [join(one.machine.dev, "md127"), "/dev/md127"],
        [join(one.machine.dev, "mapper"), "/dev/mapper"],
        [join(one.machine.run, "imgbuild"), "/run/imgbuild"],
        ...(kind.endsWith("-image") ? [] : ([[one.root, "/mnt/target"]] as [string, string][])),
        ...Object.entries(words),
      ];
      const shown = (argv: readonly string[]) => {
        const plain = argv
          .map((word) => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : shellWord(word)))
          .join(" ");
        return places
          .reduce((line, [real, instead]) => line.replaceAll(real, instead), plain)
          .replace(/target\/(?= |$)/g, "target");
      };
      expect(ran.map(shown)).toEqual(printedCommands(lines));
    },
  );
});

describe("runActions", () => {
  const bench = (answers: Answers = {}) => stepBench({ answers, secrets: { key: "word\n" } });
  const undone: Action[] = [
    { argv: ["mount", "a"], undo: { argv: ["umount", "a"] } },
    { argv: ["mount", "b"], undo: { argv: ["umount", "b"] } },
    { argv: ["work"] },
  ];

  it("undoes what was done at the end, the last first", async () => {
    const { context, asked } = bench();
    await runActions(undone, context);
    expect(asked).toEqual(["mount a", "mount b", "work", "umount b", "umount a"]);
    expect(actionLines(undone)).toEqual(asked);
  });

  it("undoes it after a failure as well, which is the one that is reported", async () => {
    const { context, asked } = bench({ "mount b": new Error("no b"), "umount a": new Error("busy") });
    await expect(runActions(undone, context)).rejects.toThrow("no b");
    expect(asked).toEqual(["mount a", "mount b", "umount a"]);
  });

  it("fails where something cannot be undone", async () => {
    const { context } = bench({ "umount b": new Error("busy") });
    await expect(runActions(undone, context)).rejects.toThrow("busy");
  });

  it("runs nothing when a secret is not at hand", async () => {
    const { context, asked } = bench();
    const needy: Action = { argv: ["open"], secrets: [{ name: "gone", trim: true }] };
    await expect(runActions([...undone, needy], context)).rejects.toThrow("the secret gone is not at hand");
    expect(asked).toEqual([]);
  });

  it("gives secrets on stdin, and prints their names alone", async () => {
    const { context, options } = bench();
    const actions: Action[] = [{ argv: ["open", "it's"], secrets: [{ name: "key", trim: true }] }];
    await runActions(actions, context);
    expect(Buffer.from(options[0]!.stdin!).toString()).toBe("word");
    expect(actionLines(actions)).toEqual(["open 'it'\\''s' < <secret key>"]);
  });

  it("does what is guarded only where the guard holds, and prints it with its condition", async () => {
    const { context, asked } = bench();
    const guarded = (is: boolean): Action => ({
      when: `if it is ${is}`,
      holds: () => is,
      actions: [{ argv: ["run", String(is)] }],
    });
    await runActions([guarded(true), guarded(false)], context);
    expect(asked).toEqual(["run true"]);
    expect(actionLines([guarded(false)])).toEqual(["# if it is false:", "  run false"]);
  });

  it("prints text for stdin as a shell would take it", () => {
    expect(
      actionLines([{ argv: ["sfdisk", "x"], options: { stdin: "label: gpt\nunit: sectors\n" } }]),
    ).toEqual(["sfdisk x << END", "label: gpt", "unit: sectors", "END"]);
  });
});
