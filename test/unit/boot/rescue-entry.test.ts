import { describe, expect, it } from "vitest";
import {
  grubSwitch,
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
  search --no-floppy --fs-uuid --set=root u-1
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
