import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { cpioBytes } from "../../../src/archive/cpio.ts";
import { checkMedium } from "../../../src/rescue/check-medium.ts";
import { Medium } from "../../../src/schema/base/medium.ts";
import { sha256 } from "../../../src/util/digest.ts";
import { silentLog } from "../../../src/util/log.ts";
import { mediumParts } from "../../helpers/builders/medium.ts";
import { fakeMachine } from "../../helpers/fakes/fake-machine.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const squashfs = Buffer.alloc(8_192, 3);
const files = { "imgbuild/base/kernel": "the kernel", "imgbuild/hosts/web/tree.tar.zst": "the tree" };

/** A base that runs from memory, and a medium's directory. */
async function laid() {
  const { machine, block, put, dir } = fakeMachine();
  block("loop0", { size: "16", "loop/backing_file": "/base.squashfs (deleted)" });
  put("dev/loop0", squashfs);
  const shipped = await cpioBytes([{ type: "file", name: "base.squashfs", mode: 0o644, content: squashfs }]);
  const directory = tempDir();
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  const { json } = await mediumParts({
    medium: {
      squashfs: { size: shipped.length, sha256: sha256(shipped) },
      files: Object.fromEntries(
        Object.entries(files).map(([path, text]) => [path, { size: text.length, sha256: sha256(text) }]),
      ),
    },
  });
  const medium = Medium.parse(JSON.parse(json.toString()));
  const check = (from: string | undefined = directory) => checkMedium(medium, from, silentLog, machine);
  return { check, directory, squashfsFile: join(dir, "dev/loop0") };
}

describe("F49: the check of a rescue medium before the first write", () => {
  it("passes what is as it was written, also where the medium has no filesystem", async () => {
    const { check } = await laid();
    await check();
    const { check: fromMemory } = await laid();
    await fromMemory(undefined);
  });

  it.each(Object.entries(files))("refuses %s with a byte flipped, cut short, or gone", async (path, text) => {
    const { check, directory } = await laid();
    const file = join(directory, path);
    writeFileSync(file, text.replace("the", "thf"));
    await expect(check()).rejects.toThrow(`${path} on the medium is damaged`);
    writeFileSync(file, text.slice(0, -1));
    await expect(check()).rejects.toThrow(`${path} on the medium is damaged`);
    const elsewhere = join(tempDir(), "nothing");
    await expect(check(elsewhere)).rejects.toThrow("cannot be read");
  });

  it("refuses a base in memory with a byte flipped", async () => {
    const { check, squashfsFile } = await laid();
    const flipped = Buffer.from(squashfs);
    flipped[4_000]! ^= 1;
    writeFileSync(squashfsFile, flipped);
    await expect(check()).rejects.toThrow("the base on the medium is damaged");
  });
});
