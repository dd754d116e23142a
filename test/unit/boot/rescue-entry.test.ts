import { describe, expect, it } from "vitest";
import {
  emptyEnvironment,
  grubSwitch,
  lasting,
  lastingCmdline,
  lastingMenu,
  loaderSwitch,
  rescueCmdline,
  rescueEntry,
  rescueMenu,
  rescuingMenu,
} from "../../../src/boot/rescue-entry.ts";

describe("the line by which a loader starts the base or the new system", () => {
  it.each([
    ["GRUB", grubSwitch],
    ["systemd-boot", loaderSwitch],
  ])("is as long in both forms, and within a sector: %s", (_loader, { rescue, system }) => {
    expect(system).toHaveLength(rescue.length);
    expect(rescue.length).toBeLessThan(512);
    for (const line of [rescue, system]) expect(line).toMatch(/^[^\n]+\n$/);
    expect(system).not.toBe(rescue);
  });

  it("names the base to systemd-boot, and is a comment afterwards", () => {
    expect(loaderSwitch.rescue).toBe("default imgbuild-rescue*\n");
    expect(loaderSwitch.system).toMatch(/^# +\n$/);
  });

  it("is the first of GRUB's menu, whose default is the base only before the switch", () => {
    const menu = rescuingMenu("menuentry x {\n}\n");
    expect(menu.startsWith("set rescue=yes\nmenuentry x")).toBe(true);
    expect(menu).toContain("source $prefix/imgbuild-rescue.cfg");
    expect(menu).toMatch(/if \[ "\$rescue" = yes \]; then\n {2}set default=imgbuild-rescue\n/);
  });
});

describe("rescueCmdline", () => {
  it("is that of the running base without what was for its way there, and says that it was started from the disk", () => {
    const running =
      "console=ttyS0 panic=20 imgbuild.deadman=600 imgbuild.deploy=ab BOOT_IMAGE=/x initrd=\\y imgbuild.rescued=power\n";
    expect(rescueCmdline(running)).toEqual([
      ...["console=ttyS0", "panic=20", "imgbuild.deploy=ab", "imgbuild.rescued=power"],
    ]);
  });
});

describe("the entry of the base", () => {
  it("has GRUB find its filesystem and read all parts in their order, with words quoted", () => {
    expect(rescueMenu({ uuid: "u-1", directory: "/var/cache/imgbuild/d" }, ["a=b", "c=$d"])).toBe(
      `menuentry 'imgbuild: the base, to go on with a deploy' --id imgbuild-rescue {
  search.fs_uuid u-1 root
  linux /var/cache/imgbuild/d/kernel a=b 'c=$d'
  initrd /var/cache/imgbuild/d/outer /var/cache/imgbuild/d/squashfs /var/cache/imgbuild/d/carried /var/cache/imgbuild/d/deploy
}
`,
    );
  });

  it("is of type 1 for systemd-boot, after those of systems", () => {
    const text = rescueEntry("/imgbuild/rescue", ["a=b", "c"]);
    expect(text).toContain("options    a=b c\n");
    expect(text).toContain("linux      /imgbuild/rescue/kernel\n");
    expect([...text.matchAll(/^initrd +(.*)$/gm)].map((match) => match[1])).toEqual(
      ["outer", "squashfs", "carried", "deploy"].map((name) => `/imgbuild/rescue/${name}`),
    );
    // systemd-boot sorts by this key, and systems have "debian".
    expect(/^sort-key +(.*)$/m.exec(text)![1]! > "debian").toBe(true);
  });
});

describe("the entry of the base that stays", () => {
  const at = { uuid: "u-1", directory: "/boot/imgbuild/rescue" };
  const menu = lastingMenu("", at, ["console=ttyS0"]);

  it("is started by GRUB once: only after it has read that it took the wish back", () => {
    const lines = menu.split("\n").map((line) => line.trim());
    const order = [
      "load_env --file $prefix/grubenv next_entry",
      "save_env --file $prefix/grubenv next_entry",
      "set next_entry=unread",
      'if [ -z "$next_entry" ]; then',
      "set default=imgbuild-base",
    ].map((line) => lines.indexOf(line));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order[0]).toBeGreaterThan(0);
    expect(menu.match(/set default=/g)).toHaveLength(1);
  });

  it("has a title, and reads kernel and parts of the place", () => {
    expect(menu).toContain(
      "menuentry 'Rescue (imgbuild base)' --id imgbuild-base {\n  search.fs_uuid u-1 root\n",
    );
    expect(menu).toContain("  linux /boot/imgbuild/rescue/kernel console=ttyS0\n");
    expect(menu).toMatch(/initrd \S+\/outer \S+\/squashfs \S+\/config\n/);
  });

  it("takes the place of an earlier one, and leaves what others have written there", () => {
    const again = lastingMenu(`set a=b\n${menu}set c=d\n`, at, ["console=ttyS0"]);
    expect(again.match(/menuentry/g)).toHaveLength(1);
    expect(again.startsWith("set a=b\nset c=d\n# imgbuild-base: begin\n")).toBe(true);
  });

  it("is of type 1 for systemd-boot", () => {
    const text = rescueEntry("/imgbuild/rescue", ["a"], lasting);
    expect(text).toMatch(/^title +Rescue \(imgbuild base\)\n/);
    expect(text).toMatch(/initrd +\/imgbuild\/rescue\/config\n$/);
  });

  it("has no word of a deploy, and none by which the machine would restart", () => {
    const running =
      "console=ttyS0 panic=20 nmi_watchdog=panic imgbuild.deadman=600 noapic imgbuild.deploy=ab\n";
    expect(lastingCmdline(running, "web.example.org")).toEqual([
      ...["console=ttyS0", "panic=20", "noapic", "imgbuild.hostname=web-rescue"],
    ]);
  });

  it("has a block of variables that GRUB can write in place", () => {
    expect(emptyEnvironment()).toHaveLength(1024);
    expect(emptyEnvironment()).toMatch(/^# GRUB Environment Block\n#+$/);
  });
});
