import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cpio } from "../../../../src/archive/cpio.ts";
import { keepBase } from "../../../../src/steps/boot/keep-base.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";

const directory = "/var/cache/imgbuild/base";
const squashfs = Buffer.alloc(8192, 3);

/** A base that runs: two small files in memory, and the loop device of its squashfs. */
async function base() {
  const made = fakeMachine();
  const { dir, put, block, machine } = made;
  put("run/imgbuild/base/kernel", "the kernel");
  put("run/imgbuild/base/kit", "the kit");
  block("loop0", { "loop/backing_file": "/somewhere/else.img" }, "loop0");
  block("loop1", { size: "16", "loop/backing_file": "/base.squashfs (deleted)" });
  put("dev/loop1", squashfs);
  const chunks: Uint8Array[] = [];
  const entry = {
    type: "file",
    name: "base.squashfs",
    mode: 0o644,
    path: join(dir, "dev/loop1"),
    size: 8192,
  } as const;
  for await (const chunk of cpio([entry])) chunks.push(chunk);
  const archive = Buffer.concat(chunks);
  const files = [
    { name: "kernel", content: Buffer.from("the kernel") },
    { name: "kit", content: Buffer.from("the kit") },
    { name: "squashfs", content: archive },
  ].map(({ name, content }) => ({ name, size: content.length, sha256: sha256(content) }));
  const bench = stepBench({ machine });
  const { root } = bench.context;
  mkdirSync(root);
  const kept = () => {
    try {
      return readdirSync(join(root, directory)).sort();
    } catch {
      return undefined;
    }
  };
  const keep = async (more: readonly (typeof files)[number][] = files) =>
    await keepBase.run({ directory, files: [...more] }, bench.context);
  return { ...made, ...bench, root, files, archive, kept, keep };
}

describe("keep-base", () => {
  it("leaves the running base byte for byte, for root alone, in the place of another", async () => {
    const { root, keep, kept, archive, said } = await base();
    mkdirSync(join(root, directory), { recursive: true });
    writeFileSync(join(root, directory, "old"), "");
    await keep();
    expect([kept(), said]).toEqual([["kernel", "kit", "squashfs"], []]);
    expect(readFileSync(join(root, directory, "squashfs")).equals(archive)).toBe(true);
    expect(readFileSync(join(root, directory, "kernel"), "utf8")).toBe("the kernel");
    expect(lstatSync(join(root, directory, "kernel")).mode & 0o777).toBe(0o600);
  });

  it.each<[string, (one: Awaited<ReturnType<typeof base>>) => void, RegExp]>([
    [
      "a file is another one",
      ({ put }) => put("run/imgbuild/base/kit", "THE KIT"),
      /its kit is not what was shipped/,
    ],
    ["a file is gone", ({ files }) => (files[0] = { ...files[0]!, name: "gone" }), /ENOENT/],
    [
      "its loop device is not there",
      ({ put }) => put("sys/block/loop1/loop/backing_file", "/x"),
      /the loop device of the squashfs is not there/,
    ],
    [
      "the squashfs is larger",
      ({ put }) => put("sys/block/loop1/size", "1000000"),
      /larger than what was shipped/,
    ],
    ["there is no room", ({ files }) => (files[0] = { ...files[0]!, size: 2 ** 52 }), /no room for it/],
  ])("keeps nothing, says so and goes on when %s", async (_what, change, message) => {
    const one = await base();
    change(one);
    await one.keep();
    expect(one.kept()).toBeUndefined();
    expect(one.said).toEqual([
      expect.stringMatching(/^warn the base is not kept; the next deploy sends it again: /),
    ]);
    expect(one.said[0]).toMatch(message);
  });
});
