import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { switchEntry } from "../../../../src/steps/boot/switch-entry.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";

const root = { type: "ext4", path: "/" } as const;
const esp = { type: "vfat", path: "/efi" } as const;

function built(menu = "set rescue=yes\nmenuentry\n") {
  const heard: string[] = [];
  const note = (argv: readonly string[]) =>
    void heard.push(
      `${argv[0]} ${argv.at(-1)}: ${readFileSync(at("boot/grub/grub.cfg"), "utf8").split("\n")[0]}`,
    );
  const bench = stepBench({ answers: { sync: note } });
  const at = (path: string) => join(bench.context.root, path);
  const put = (path: string, text: string) => {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
  };
  put("boot/grub/grub.cfg", menu);
  put("boot/grub/imgbuild-rescue.cfg", "entry");
  put("var/cache/imgbuild/d/deploy", "a host key");
  put("var/cache/imgbuild/d/squashfs", "the base");
  put("efi/x", "");
  const input = {
    flush: [root, esp],
    config: { path: "/boot/grub/grub.cfg", on: root, from: "set rescue=yes\n", to: "set rescue=no \n" },
    wipe: "/var/cache/imgbuild/d/deploy",
    remove: ["/boot/grub/imgbuild-rescue.cfg"],
    on: root,
  };
  const run = async () => await switchEntry.run(switchEntry.schema.parse(input), bench.context);
  return { ...bench, at, run, heard };
}

describe("switch-entry", () => {
  it("turns to the new system by a line in its place, once every filesystem is flushed", async () => {
    const { run, at, heard, context } = built();
    const { ino } = statSync(at("boot/grub/grub.cfg"));
    await run();
    expect(readFileSync(at("boot/grub/grub.cfg"), "utf8")).toBe("set rescue=no \nmenuentry\n");
    expect(statSync(at("boot/grub/grub.cfg")).ino).toBe(ino);
    expect(heard.map((line) => line.replaceAll(context.root, "T"))).toEqual([
      "sync T/: set rescue=yes",
      "sync T/efi: set rescue=yes",
      "sync T/: set rescue=no ",
      "sync T/: set rescue=no ",
    ]);
  });

  it("removes what the base had of the deploy, and keeps the base", async () => {
    const { run, at } = built();
    await run();
    expect(
      ["var/cache/imgbuild/d/deploy", "boot/grub/imgbuild-rescue.cfg"].map((path) => existsSync(at(path))),
    ).toEqual([false, false]);
    expect(readFileSync(at("var/cache/imgbuild/d/squashfs"), "utf8")).toBe("the base");
  });

  it("refuses a menu that something has changed, and takes nothing away", async () => {
    const { run, at } = built("menuentry of a package\n");
    await expect(run()).rejects.toThrow("/boot/grub/grub.cfg does not begin as it was written");
    expect(existsSync(at("var/cache/imgbuild/d/deploy"))).toBe(true);
  });
});
