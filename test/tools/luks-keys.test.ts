import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeStorage } from "../../src/steps/disk/make-storage.ts";
import type { StepContext } from "../../src/steps/step/step.ts";
import { run } from "../../src/system/run/run.ts";
import { silentLog } from "../../src/util/log.ts";
import { Secret } from "../../src/util/secret.ts";
import { stepsFor } from "../helpers/builders/storage-steps.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const passphrase = "of the definition";
const secrets = new Map(
  Object.entries({ disk: passphrase, recovery: "of the safe" }).map(([name, text]) => [
    name,
    new Secret(name, Buffer.from(text)),
  ]),
);
const volume = {
  ...{ name: "data", type: "linux", size: "64MiB" },
  content: {
    ...{ type: "luks", name: "data", key: "disk", recoveryKey: "recovery" },
    kdf: { memory: "32MiB", iterations: 4 },
    content: { type: "ext4", mount: "/srv" },
  },
};

/** The plan's own step, by cryptsetup, on a file in the place of the partition. */
async function make(): Promise<string> {
  const file = join(tempDir(), "partition");
  writeFileSync(file, "");
  truncateSync(file, 64 * 2 ** 20);
  const { create } = stepsFor([[volume]]);
  const found = create.filter(({ kind, doing }) => kind === "make-storage" && /^encrypting/.test(doing));
  expect(found).toHaveLength(1);
  const { kind: _kind, doing: _doing, ...data } = found[0]!;
  const input = makeStorage.schema.parse(data);
  const commands = input.commands.map((command) => ({
    ...command,
    args: command.args.map((word) => (typeof word === "string" ? word : file)),
  }));
  // The machine's kernel has no part in it.
  const tool: StepContext["tool"] = async (argv, options) =>
    argv[0] === "cryptsetup" ? await run(argv, options) : { code: 0, stdout: "", stderr: "" };
  const context = { tool, secrets, log: silentLog, signal: new AbortController().signal };
  await makeStorage.run({ ...input, commands }, context as unknown as StepContext);
  return file;
}

/** What a LUKS header has in it: the key of the volume, opened by a passphrase, and the rest as it is shown. */
async function headerOf(file: string, typed: string) {
  const dumped = ["cryptsetup", "luksDump", "--dump-volume-key", "--batch-mode", "--key-file=-", file];
  const { stdout } = await run(dumped, { stdin: typed });
  const shown = (await run(["cryptsetup", "luksDump", file])).stdout;
  const bytes = /^MK dump:([\s\S]*)/m.exec(stdout)?.[1] ?? "";
  return {
    key: bytes.replace(/[^0-9a-f]/g, ""),
    uuid: /^UUID:\s+(\S+)$/m.exec(shown)?.[1],
    slots: [...shown.matchAll(/^ {2}\d+: luks2$/gm)].length,
    salts: [...shown.matchAll(/Salt:((?:\s+(?:[0-9a-f]{2} )+)+)/g)].map((match) =>
      match[1]!.replace(/\s/g, ""),
    ),
  };
}

describe("the LUKS volumes of two systems of one definition (F30)", () => {
  it("have keys and salts of their own, though the passphrases are the definition's", async () => {
    const files = [await make(), await make()];
    const [first, second] = [await headerOf(files[0]!, passphrase), await headerOf(files[1]!, passphrase)];
    for (const one of [first, second]) {
      expect(one.key).toMatch(/^[0-9a-f]{128}$/);
      // Two slots, and the digest of the key.
      expect([one.slots, one.salts.length]).toEqual([2, 3]);
    }
    expect(second.key).not.toBe(first.key);
    expect(new Set([...first.salts, ...second.salts]).size).toBe(6);
    // The seed of the deploy was the same, as when a build is resumed: that alone decides the identifier.
    expect(second.uuid).toBe(first.uuid);
    expect((await headerOf(files[0]!, "of the safe")).key).toBe(first.key);
    await expect(headerOf(files[0]!, "of another")).rejects.toThrow();
  });
});
