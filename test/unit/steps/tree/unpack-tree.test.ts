import { execFileSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packArgv, unpackArgv, unpackTree } from "../../../../src/steps/tree/unpack-tree.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { Fail } from "../../../../src/util/fail.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { type Answers, stepBench } from "../../../helpers/fakes/step-bench.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const epoch = 1_000_000_000;
const tar = (argv: readonly string[]) =>
  execFileSync(argv[0]!, argv.slice(1), { encoding: "utf8", stdio: "pipe" });

function smallTree(): string {
  const tree = join(tempDir(), "tree");
  mkdirSync(join(tree, "usr/bin"), { recursive: true });
  writeFileSync(join(tree, "usr/bin/tool"), "#!/bin/sh\n");
  chmodSync(join(tree, "usr/bin/tool"), 0o4755);
  linkSync(join(tree, "usr/bin/tool"), join(tree, "usr/bin/same"));
  symlinkSync("usr/bin", join(tree, "bin"));
  utimesSync(join(tree, "usr/bin/tool"), 5, 5);
  writeFileSync(join(tree, "now"), "made now");
  return tree;
}

describe("a tree on a disk", () => {
  it("comes out of its archive as it went in, no file younger than the epoch", () => {
    const tree = smallTree();
    const dir = tempDir();
    tar(packArgv(tree, join(dir, "tree.tar"), epoch));
    mkdirSync(join(dir, "out"));
    tar(unpackArgv(join(dir, "tree.tar"), join(dir, "out")));
    const tool = statSync(join(dir, "out/usr/bin/tool"));
    expect(tool.mode & 0o7777).toBe(0o4755);
    expect(tool.ino).toBe(statSync(join(dir, "out/usr/bin/same")).ino);
    expect(tool.mtimeMs).toBe(5_000);
    expect(readlinkSync(join(dir, "out/bin"))).toBe("usr/bin");
    expect(lstatSync(join(dir, "out/now")).mtimeMs).toBe(epoch * 1000);
  });

  it("is the same archive whenever it is packed, and whole sectors long", () => {
    const [one, two] = [smallTree(), smallTree()].map((tree) => {
      const file = join(tempDir(), "tree.tar");
      tar(packArgv(tree, file, epoch));
      return readFileSync(file);
    });
    expect(sha256(one!)).toBe(sha256(two!));
    expect(one!.length % 4096).toBe(0);
  });

  it("comes with owners by number, all modes and all attributes, and says how far it is", () => {
    expect(unpackArgv("/dev/x", "/into").join(" ")).toBe(
      "tar --extract --file /dev/x --blocking-factor=2048 --directory /into --numeric-owner --same-owner " +
        "--preserve-permissions --xattrs --xattrs-include=* --checkpoint=16 --checkpoint-action=echo=%u",
    );
  });

  it("is named by a disk's identity, never by a path", () => {
    const archive = { name: "tree", serial: "TREE", sizeBytes: 4096 };
    expect(unpackTree.schema.safeParse({ archive }).success).toBe(true);
    expect(unpackTree.schema.safeParse({ archive: "/dev/vda" }).success).toBe(false);
    expect(unpackTree.schema.safeParse({ archive, into: "/" }).success).toBe(false);
  });

  const unpack = (answers: Answers = {}) => {
    const made = fakeMachine();
    const { name: _, ...archive } = { ...made.disk("vdb", 3 * 2 ** 20 + 512) };
    const bench = stepBench({ machine: made.machine, answers });
    const run = async () => await unpackTree.run({ archive: { name: "tree", ...archive } }, bench.context);
    return { ...made, ...bench, run };
  };

  it("is read from that disk alone, and shows how much of it is done", async () => {
    const { run, asked, options, said, machine, context } = unpack();
    await run();
    expect(asked).toEqual([unpackArgv(join(machine.dev, "vdb"), context.root).join(" ")]);
    const [{ onLine, timeoutMs, signal }] = options as [(typeof options)[0]];
    expect([timeoutMs, signal]).toEqual([2 * 3_600_000, context.signal]);
    for (const line of ["tar: 1", "tar: a file is odd", "x tar: 1", "tar: 3", "tar: 90"]) onLine!(line);
    expect(said).toEqual(["progress 1/4 MiB", "progress 3/4 MiB", "progress 4/4 MiB"]);
    expect(lstatSync(context.root).isDirectory()).toBe(true);
  });

  it("says that it does not fit where the disk is full, and passes on any other failure", async () => {
    const full = unpack({ tar: new Fail("tar: ./usr: Cannot write: No space left on device") });
    await expect(full.run()).rejects.toMatchObject({
      message: "the tree, of 4 MiB, does not fit into its filesystems",
      hint: expect.stringMatching(/larger/),
      cause: expect.objectContaining({ message: expect.stringMatching(/No space left/) }),
    });
    const other = new Fail("tar: Unexpected EOF");
    await expect(unpack({ tar: other }).run()).rejects.toBe(other);
  });
});
