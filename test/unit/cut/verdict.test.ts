import { describe, expect, it } from "vitest";
import { grubMenu } from "../../../src/boot/grub.ts";
import { grubEntries } from "../../helpers/cut/grub-menu.ts";
import { defaultEntry } from "../../helpers/cut/loader-entries.ts";
import type { Start } from "../../helpers/cut/probe.ts";
import { Unreadable, unlessUnreadable } from "../../helpers/cut/unreadable.ts";
import { judge } from "../../helpers/cut/verdict.ts";

const start = (name: string): Start => ({
  linux: `${name}-linux`,
  initrds: [`${name}-initrd`],
  cmdline: `root=UUID=${name}`,
});
const whole = { old: start("old"), new: start("new"), base: start("base") };
const roots = (old: boolean, made: boolean) => ({ oldIsWhole: () => old, newIsWhole: () => made });

describe("the verdict", () => {
  it.each<[string, Start | Unreadable, boolean, boolean, string]>([
    ["the old system with its root", start("old"), true, false, "old"],
    ["the old system over a root that was written to", start("old"), false, false, "dead"],
    ["the new system with its root", start("new"), false, true, "new"],
    ["the new system before its root", start("new"), false, false, "dead"],
    ["the base, whatever the roots are", start("base"), false, false, "base"],
    ["a kernel of another system", { ...start("new"), linux: "old-linux" }, true, true, "dead"],
    ["a torn initramfs", { ...start("base"), initrds: ["?"] }, true, true, "dead"],
    ["an initramfs that is missing", { ...start("base"), initrds: [] }, true, true, "dead"],
    ["the right files with other words", { ...start("new"), cmdline: "quiet" }, true, true, "dead"],
    ["nothing", new Unreadable("no boot code"), true, true, "dead"],
  ])("of %s is one of four", (_what, found, old, made, verdict) => {
    expect(judge({ start: found }, whole, roots(old, made)).verdict).toBe(verdict);
  });

  it("says which file is not whole", () => {
    const why = (found: Start) => judge({ start: found }, whole, roots(true, true)).why;
    expect(why({ ...start("base"), initrds: ["?"] })).toBe("an initramfs that is not whole");
    expect(why({ ...start("new"), linux: "?" })).toBe("a kernel that is not whole");
    expect(why({ ...start("new"), cmdline: "" })).toBe("what it starts is of no system");
  });

  it("is none where the probe itself fails", () => {
    const broken = () => {
      throw new TypeError("a defect of the probe");
    };
    expect(() => unlessUnreadable(broken)).toThrow(TypeError);
  });
});

describe("a menu of GRUB", () => {
  const menu = grubMenu({
    ...{
      place: { uuid: "u-1", directory: "/boot", links: "" },
      cmdline: ["root=UUID=u-1", "ro"],
      consoles: ["ttyS0"],
    },
    ...{ timeoutSeconds: 1, title: "web" },
  });
  const read = (files: Readonly<Record<string, string>>) => grubEntries("/boot/grub", (path) => files[path]);

  it("of imgbuild gives the new kernel, then the one before", () => {
    expect(read({ "/boot/grub/grub.cfg": menu })).toEqual([
      { title: "web", on: "u-1", linux: "/vmlinuz", initrds: ["/initrd.img"], cmdline: "root=UUID=u-1 ro" },
      expect.objectContaining({ linux: "/vmlinuz.old", initrds: ["/initrd.img.old"] }),
    ]);
  });

  it("takes the entry of grub-reboot, and its conditions and further files", () => {
    const text = [
      `if [ -s $prefix/grubenv ]; then\n  load_env\nfi\nif [ "\${next_entry}" ] ; then\n  set default="\${next_entry}"\nelse\n  set default="0"\nfi`,
      "menuentry 'first' $menuentry_id_option 'one' {\n  linux /a\n}",
      "if [ -f $prefix/more.cfg ]; then source $prefix/more.cfg; fi",
    ].join("\n");
    const more =
      "menuentry 'second' --id two {\n  search.fs_uuid u-2 root\n  linux /b x=1\n  initrd /c /d\n}\n";
    const files = { "/boot/grub/grub.cfg": text, "/boot/grub/more.cfg": more };
    expect(read(files)[0]).toMatchObject({ title: "first", linux: "/a", initrds: [] });
    const once = { ...files, "/boot/grub/grubenv": "# GRUB Environment Block\nnext_entry=two\n####" };
    expect(read(once)).toEqual([
      { title: "second", on: "u-2", linux: "/b", initrds: ["/c", "/d"], cmdline: "x=1" },
    ]);
  });

  it.each([
    ["a torn entry", menu.slice(0, menu.indexOf("initrd"))],
    ["no entry", "set default=0\n"],
    ["a word that is not known", `chainloader +1\n${menu}`],
  ])("is refused with %s", (_what, text) => {
    expect(() => read({ "/boot/grub/grub.cfg": text })).toThrow(Unreadable);
  });
});

describe("systemd-boot", () => {
  const esp = (files: Readonly<Record<string, string>>) => ({
    text: (path: string) => files[path],
    names: (path: string) =>
      Object.keys(files).flatMap((name) =>
        name.startsWith(`${path}/`) ? [name.slice(path.length + 1)] : [],
      ),
  });
  const entry = (kernel: string, more = "") =>
    `title x\nversion ${kernel}\n${more}linux /${kernel}\ninitrd /i-${kernel}\noptions quiet\n`;
  const files = {
    "/6.9": "",
    "/6.12": "",
    "/loader/entries/debian-6.9.conf": entry("6.9"),
    "/loader/entries/debian-6.12.conf": entry("6.12"),
  };

  it("starts the latest version", () => {
    expect(defaultEntry(esp(files))).toMatchObject({
      linux: "/6.12",
      initrds: ["/i-6.12"],
      cmdline: "quiet",
    });
  });

  it("starts what its configuration names, where that is there", () => {
    const named = (pattern: string) =>
      defaultEntry(esp({ ...files, "/loader/loader.conf": `default ${pattern}\n` })).linux;
    expect([named("debian-6.9*"), named("none*")]).toEqual(["/6.9", "/6.12"]);
  });

  it("passes over an entry without tries or without its kernel", () => {
    const tried = {
      ...files,
      "/loader/entries/debian-6.13+0-3.conf": entry("6.13"),
      "/6.13": "",
      "/loader/entries/debian-7.conf": entry("7"),
    };
    expect(defaultEntry(esp(tried)).linux).toBe("/6.12");
    expect(() => defaultEntry(esp({}))).toThrow(Unreadable);
  });
});
