import { mkdir, mkdtemp, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { DeviceRef, openDevice, showDevice } from "../../disks/device.ts";
import { parseBlkid } from "../../disks/membership.ts";
import { Fail } from "../../util/fail.ts";
import { secretBytes } from "../step/secret-input.ts";
import { defineStep, type StepContext } from "../step/step.ts";

const timeoutMs = 300_000;
const hint = "nothing was written; compare the definition with `blkid` on the host";

/** Looks, before anything is written, whether what is kept is there and is what the definition says. Reads only. */
export const checkKept = defineStep({
  kind: "check-kept",
  summary: "check that what is kept is there",
  schema: z.strictObject({
    device: DeviceRef,
    /** As blkid calls it. */
    type: z.string(),
    uuid: z.string(),
    sizeBytes: z.int().positive().optional(),
    /** A LUKS volume opens by this secret. */
    key: z.strictObject({ secret: z.string(), trim: z.boolean() }).optional(),
    /** Subvolumes of a btrfs that are kept. */
    subvolumes: z.array(z.string()).default([]),
  }),
  run: async ({ device, type, uuid, sizeBytes, key, subvolumes }, context) => {
    const found = await openDevice(device, context.machine);
    const what = showDevice(device);
    const { stdout } = await context.tool(["blkid", "-p", "-o", "export", found.path], {
      timeoutMs,
      accept: [0, 2],
    });
    const [seen] = parseBlkid(stdout).values();
    if (seen?.fsType !== type)
      throw new Fail(`${what} is kept and should hold ${type}; it holds ${seen?.fsType ?? "nothing known"}`, {
        hint,
      });
    if (seen.uuid?.toLowerCase() !== uuid.toLowerCase())
      throw new Fail(`${what} is kept and should have the UUID ${uuid}; it has ${seen.uuid ?? "none"}`, {
        hint,
      });
    if (sizeBytes !== undefined && found.sizeBytes !== sizeBytes)
      throw new Fail(`${what} is kept and should have ${sizeBytes} bytes; it has ${found.sizeBytes}`, {
        hint,
      });
    if (key !== undefined) await tryKey(context, found.path, what, key);
    if (subvolumes.length > 0) await lookFor(context, found.path, what, subvolumes);
  },
});

async function tryKey(
  context: StepContext,
  path: string,
  what: string,
  { secret, trim }: { readonly secret: string; readonly trim: boolean },
): Promise<void> {
  const argv = ["cryptsetup", "open", "--test-passphrase", "--batch-mode", "--key-file=-", path];
  // 2: no key slot opens by it (cryptsetup(8), RETURN CODES).
  const { code } = await context.tool(argv, {
    stdin: secretBytes(context, { name: secret, trim }),
    timeoutMs,
    accept: [0, 2],
  });
  if (code !== 0)
    throw new Fail(`${what} is kept, and the secret ${secret} does not open it`, {
      hint: "nothing was written; a key that opens it must be among the secrets",
    });
}

/** Not even the log is replayed. */
async function lookFor(
  context: StepContext,
  path: string,
  what: string,
  subvolumes: readonly string[],
): Promise<void> {
  const parent = join(context.machine.run, "imgbuild");
  await mkdir(parent, { recursive: true });
  const where = await mkdtemp(join(parent, "kept-"));
  await context.tool(["mount", "-t", "btrfs", "-o", "ro,rescue=nologreplay,subvolid=5", path, where], {
    timeoutMs,
  });
  try {
    // "ID 256 gen 9 top level 5 path @home"; a directory of that name is none, and could not be mounted later.
    const { stdout } = await context.tool(["btrfs", "subvolume", "list", where], { timeoutMs });
    const there = new Set([...stdout.matchAll(/^ID .* path (.+)$/gm)].map((match) => match[1]!));
    for (const name of subvolumes)
      if (!there.has(name)) throw new Fail(`${what} has no subvolume ${name}, which is to be kept`, { hint });
  } finally {
    await context.tool(["umount", where], { timeoutMs });
    await rmdir(where);
  }
}
