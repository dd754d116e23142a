import { z } from "zod";
import { DeviceRef } from "../../disks/device.ts";
import { fixedTimeEnv } from "../../disks/filesystem/mkfs.ts";
import { simpleFilesystems, simpleTypes } from "../../tables/filesystem/filesystems.ts";
import { defineActions, device } from "../step/actions.ts";
import { secretBytes } from "../step/secret-input.ts";
import type { SecretInput, Word } from "../step/step.ts";
import { loadModules, settle } from "./kernel-modules.ts";

const timeoutMs = 3_600_000;

/** The programs that make what is on a disk; no other is started by this step. */
const programs = [
  ...simpleTypes.map((type) => simpleFilesystems[type].program),
  "mkfs.btrfs",
  "mkswap",
  "cryptsetup",
  "lvm",
  "mdadm",
  "wipefs",
] as const;

const Argument = z.union([z.string(), z.strictObject({ device: DeviceRef })]);

/** One command, with devices in place of their paths. */
export const StorageCommand = z.strictObject({
  program: z.enum(programs),
  args: z.array(Argument),
  /** Given on stdin, one after the other: the bytes of these secrets. */
  secrets: z.array(z.strictObject({ name: z.string(), trim: z.boolean() })).default([]),
});
export type StorageCommand = z.input<typeof StorageCommand>;

/** Makes a container, a filesystem or a swap area by the commands that its node gave. */
export const makeStorage = defineActions({
  kind: "make-storage",
  schema: z.strictObject({ commands: z.array(StorageCommand).min(1), epoch: z.int().positive() }),
  actions: ({ commands, epoch }) => [
    ...loadModules(commands.map(({ program }) => program)),
    ...commands.map(({ program, args, secrets }) => ({
      argv: [program, ...args.map((word) => asWord(word, secrets[0]))],
      secrets,
      options: { timeoutMs, env: fixedTimeEnv(epoch) },
    })),
    settle,
  ],
});

function asWord(word: z.output<typeof Argument>, first: SecretInput[number] | undefined): Word {
  if (typeof word !== "string") return device(word.device);
  if (word !== "--keyfile-size=FIRST") return word;
  // How much of stdin is the first key is known only where the keys are.
  return {
    shown: `--keyfile-size=<length of ${first?.name ?? "nothing"}>`,
    value: (context) => `--keyfile-size=${first === undefined ? 0 : secretBytes(context, first).length}`,
  };
}
