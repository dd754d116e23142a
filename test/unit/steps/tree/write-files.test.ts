import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { StepContext } from "../../../../src/steps/step/step.ts";
import { type FileToWrite, writeFiles } from "../../../../src/steps/tree/write-files.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

// The tree's user `me` is whoever runs this, so that nothing here needs root; owners are in test/tools/steps.test.ts.
const me = { owner: "me", group: "me" };

function tree(): string {
  const root = tempDir();
  mkdirSync(join(root, "etc"));
  const [uid, gid] = [process.getuid!(), process.getgid!()];
  writeFileSync(join(root, "etc/passwd"), `me:x:${uid}:${gid}::/:/bin/sh\n`);
  writeFileSync(join(root, "etc/group"), `me:x:${gid}:\n`);
  return root;
}

async function write(root: string, ...files: FileToWrite[]): Promise<void> {
  await writeFiles.run(writeFiles.schema.parse({ files }), { root } as StepContext);
}

describe("write-files", () => {
  it("writes content with its mode, replacing a file, and a link instead of following it", async () => {
    const root = tree();
    const outside = join(tempDir(), "victim");
    writeFileSync(outside, "untouched");
    writeFileSync(join(root, "etc/old"), "old and longer", { mode: 0o777 });
    symlinkSync(outside, join(root, "etc/link"));
    await write(
      root,
      { path: "/etc/old", content: "new", mode: "0640", ...me },
      { path: "/etc/link", content: "mine", ...me },
    );
    expect(readFileSync(join(root, "etc/old"), "utf8")).toBe("new");
    expect(lstatSync(join(root, "etc/old")).mode & 0o7777).toBe(0o640);
    expect(lstatSync(join(root, "etc/link")).isFile()).toBe(true);
    expect(lstatSync(join(root, "etc/link")).mode & 0o7777).toBe(0o644);
    expect(readFileSync(outside, "utf8")).toBe("untouched");
  });

  it("makes links, and again over themselves", async () => {
    const root = tree();
    for (const link of ["../usr/share/zoneinfo/Etc/UTC", "../usr/share/zoneinfo/Europe/Berlin"]) {
      await write(root, { path: "/etc/localtime", link });
      expect(readlinkSync(join(root, "etc/localtime"))).toBe(link);
    }
  });

  it("keeps a directory that is there, with its content, and sets its mode", async () => {
    const root = tree();
    await write(root, { path: "/etc", directory: true, mode: "0711" });
    expect(lstatSync(join(root, "etc")).mode & 0o7777).toBe(0o711);
    expect(existsSync(join(root, "etc/passwd"))).toBe(true);
  });

  it("refuses to put a file or a link in a directory's place, or to go through a link", async () => {
    const root = tree();
    mkdirSync(join(root, "etc/dir"));
    const message = "/etc/dir is a directory in the tree, not a file";
    await expect(write(root, { path: "/etc/dir", content: "", ...me })).rejects.toThrow(message);
    await expect(write(root, { path: "/etc/dir", link: "x" })).rejects.toThrow(message);
    symlinkSync(tempDir(), join(root, "etc/out"));
    await expect(write(root, { path: "/etc/out/x", content: "", ...me })).rejects.toThrow(
      /symbolic link in the tree/,
    );
  });

  it("leaves nothing readable when the owner is unknown", async () => {
    const root = tree();
    await expect(write(root, { path: "/etc/x", content: "secret", owner: "ghost" })).rejects.toThrow(
      "the tree has no user ghost",
    );
    expect(existsSync(join(root, "etc/x"))).toBe(false);
  });

  it.each([
    [{ path: "etc/x", content: "" }],
    [{ path: "/x" }],
    [{ path: "/x", content: "", link: "y" }],
    [{ path: "/x", directory: false }],
    [{ path: "/x", content: 1 }],
  ])("does not understand %j", (file) => {
    expect(writeFiles.schema.safeParse({ files: [file] }).success).toBe(false);
  });
});
