import { z } from "zod";
import { DeviceRef, openDevice } from "../../disks/device.ts";
import { fixedTimeEnv } from "../../disks/filesystem/mkfs.ts";
import { simpleFilesystems, simpleTypes } from "../../schema/filesystem/filesystems.ts";
import { Fail } from "../../util/fail.ts";
import { defineStep } from "../step/step.ts";
import { loadModules } from "./kernel-modules.ts";
import { trimmed } from "./storage-key.ts";

const timeoutMs = 3_600_000;
const settleMs = 90_000;

/** The programs that make what lies on a disk; no other is started by this step. */
const programs = [
  ...simpleTypes.map((type) => simpleFilesystems[type].program),
  "mkfs.btrfs",
  "mkswap",
  "cryptsetup",
  "lvm",
  "mdadm",
  "wipefs",
] as const;

const Word = z.union([z.string(), z.strictObject({ device: DeviceRef })]);

/** One command, with devices in place of their paths. */
export const StorageCommand = z.strictObject({
  program: z.enum(programs),
  args: z.array(Word),
  /** Given on stdin, one after the other: the bytes of these secrets. */
  secrets: z.array(z.strictObject({ name: z.string(), trim: z.boolean() })).default([]),
});
export type StorageCommand = z.input<typeof StorageCommand>;

/** Makes a container, a filesystem or a swap area by the commands that its node gave. */
export const makeStorage = defineStep({
  kind: "make-storage",
  summary: "make what lies on a partition, an array or a volume",
  schema: z.strictObject({ commands: z.array(StorageCommand).min(1), epoch: z.int().positive() }),
  tools: [...programs, "modprobe", "udevadm"],
  run: async ({ commands, epoch }, context) => {
    await loadModules(
      context,
      commands.map(({ program }) => program),
    );
    for (const { program, args, secrets } of commands) {
      const argv: string[] = [program];
      // One after the other: the second may lie in what the first is made into.
      for (const word of args)
        argv.push(typeof word === "string" ? word : (await openDevice(word.device, context.machine)).path);
      const stdin = secrets.map(({ name, trim }) => {
        const secret = context.secrets.get(name);
        if (secret === undefined) throw new Fail(`the secret ${name} is not at hand`);
        return trim ? trimmed(secret.expose()) : secret.expose();
      });
      // How much of stdin is the first key is known only where the keys are.
      const sized = argv.map((word) =>
        word === "--keyfile-size=FIRST" ? `--keyfile-size=${stdin[0]?.length ?? 0}` : word,
      );
      await context.tool(sized, {
        timeoutMs,
        env: fixedTimeEnv(epoch),
        ...(stdin.length === 0 ? {} : { stdin: Buffer.concat(stdin) }),
      });
    }
    await context.tool(["udevadm", "settle", "--timeout=60"], { timeoutMs: settleMs });
  },
});
