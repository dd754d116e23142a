import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { writeRescue } from "../../../../src/steps/boot/write-rescue.ts";
import { sha256 } from "../../../../src/util/digest.ts";
import { fakeMachine } from "../../../helpers/fakes/fake-machine.ts";
import { stepBench } from "../../../helpers/fakes/step-bench.ts";

const names = ["kernel", "outer", "kit"] as const;
const root = { type: "ext4", path: "/" } as const;
const esp = { type: "vfat", path: "/efi" } as const;

/** A base that runs, with what came with its deploy; the squashfs is left out, as in `keep-base`. */
function base(loader: "grub" | "systemd-boot") {
  const made = fakeMachine();
  for (const name of names) made.put(`run/imgbuild/base/${name}`, `the ${name}`);
  for (const name of ["deploy.json", "journal.jsonl", "record.json", "record.age", "payload.tar.gz", "go"])
    made.put(`run/imgbuild/${name}`, `the ${name}`);
  for (const name of ["host_key", "host_key.pub", "authorized_keys", "port"])
    made.put(`run/imgbuild/ssh/${name}`, `the ${name}`);
  made.put("proc/cmdline", "console=ttyS0 imgbuild.deadman=600 imgbuild.deploy=ab\n");
  const bench = stepBench({ machine: made.machine });
  mkdirSync(bench.context.root);
  const isGrub = loader === "grub";
  const directory = isGrub ? "/var/cache/imgbuild/d" : "/efi/imgbuild/rescue";
  const input = {
    directory,
    on: isGrub ? root : esp,
    files: names.map((name) => ({ name, size: `the ${name}`.length, sha256: sha256(`the ${name}`) })),
    config: isGrub
      ? { path: "/boot/grub/grub.cfg", on: root, content: "the menu" }
      : { path: "/efi/loader/loader.conf", on: esp, content: "default x" },
    entry: isGrub
      ? { loader, uuid: "u", directory: "/var/cache/imgbuild/d", path: "/boot/grub/imgbuild-rescue.cfg" }
      : { loader, directory: "/imgbuild/rescue", entries: "/efi", esp },
  };
  const run = async () => await writeRescue.run(writeRescue.schema.parse(input), bench.context);
  const at = (path: string) => join(bench.context.root, path);
  return { ...made, ...bench, run, at, directory, text: (path: string) => readFileSync(at(path), "utf8") };
}

/** What was flushed or copied, in order, without the root of the tree. */
const flushes = (asked: readonly string[], root: string) => asked.map((line) => line.replaceAll(root, "T"));

describe("write-rescue", () => {
  it("writes base, what it carries of itself and of the deploy, then entry and menu, each on the disk before the next", async () => {
    const { run, text, directory, asked, context, said } = base("grub");
    await run();
    for (const name of names) expect(text(`${directory}/${name}`)).toBe(`the ${name}`);
    for (const name of names) expect(text(`${directory}/carried`)).toContain(`imgbuild/base/${name}`);
    expect(text("boot/grub/imgbuild-rescue.cfg")).toMatch(
      /linux \/var\/cache\/imgbuild\/d\/kernel console=ttyS0 imgbuild.deploy=ab imgbuild.rescued=power\n/,
    );
    expect(text("boot/grub/grub.cfg")).toBe("the menu");
    const flush = ["sync --file-system T/", "fsfreeze --freeze T/", "fsfreeze --unfreeze T/"];
    expect(flushes(asked, context.root)).toEqual([...flush, ...flush, ...flush]);
    expect(said).toEqual([]);
  });

  it("has deploy, journal and SSH with it, and neither plan nor secrets", async () => {
    const { run, text, directory } = base("grub");
    await run();
    const archive = text(`${directory}/deploy`);
    for (const name of ["deploy.json", "journal.jsonl", "record.age", "ssh/host_key", "ssh/port"])
      expect(archive).toContain(`imgbuild/${name}`);
    for (const name of ["payload.tar.gz", "the go"]) expect(archive).not.toContain(name);
  });

  it("puts systemd-boot where the firmware finds it, once all that it starts is on the disk", async () => {
    const { run, text, asked, context } = base("systemd-boot");
    await run();
    expect(text("efi/loader/entries/imgbuild-rescue.conf")).toContain("linux      /imgbuild/rescue/kernel");
    expect(text("efi/loader/loader.conf")).toBe("default x");
    const sync = "sync --file-system T/efi";
    const copy = "cp -- /usr/lib/systemd/boot/efi/systemd-bootx64.efi T/efi/EFI";
    expect(flushes(asked, context.root)).toEqual([
      ...[sync, sync, sync],
      ...[`${copy}/systemd/systemd-bootx64.efi`, sync, `${copy}/BOOT/BOOTX64.EFI`, sync],
    ]);
  });

  it("lets the build go on where the base cannot be written, says so, and leaves nothing of it", async () => {
    const { run, at, directory, said, dir, text } = base("grub");
    rmSync(join(dir, "run/imgbuild/base/outer"));
    await run();
    expect(said).toEqual([expect.stringMatching(/^warn the base is not on the disk: a power cut .* ENOENT/)]);
    expect(existsSync(at(directory))).toBe(false);
    expect(text("boot/grub/grub.cfg")).toBe("the menu");
  });
});
