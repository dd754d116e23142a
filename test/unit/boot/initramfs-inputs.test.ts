import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { initramfsInputs } from "../../../src/boot/initramfs-inputs.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

function tree(files: Readonly<Record<string, string>>): string {
  const root = tempDir();
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

const inputs = (path: string) => {
  const before = tree({ "usr/lib/x86_64-linux-gnu/libc.so.6": "" });
  const now = tree({
    "usr/sbin/mkinitramfs":
      '#!/bin/sh\n# see /etc/commented for htop\ncp -p /etc/thing/conf /lib/other.d/ "$DESTDIR/usr/bin"\nrm -f /var/cache/ldconfig/aux-cache\n',
    "usr/share/initramfs-tools/hooks/x":
      "copy_exec /sbin/special\nfor f in /etc/systemd/network/*.link; do :; done\n",
  });
  return initramfsInputs(now, before)(path);
};

describe("initramfsInputs", () => {
  it.each([
    ["a kernel module", "/usr/lib/modules/6.1/x.ko"],
    ["its own configuration", "/etc/initramfs-tools/conf.d/mine"],
    ["a hook", "/usr/share/initramfs-tools/hooks/mine"],
    ["the table of filesystems", "/etc/fstab"],
    ["a rule of udev", "/etc/udev/rules.d/10-mine.rules"],
    ["a file that a script names", "/etc/thing/conf"],
    ["a file of a directory that a script names", "/usr/lib/other.d/mine"],
    ["what a pattern may match", "/etc/systemd/network/10-lan.network"],
    ["a program that a script runs", "/usr/bin/cp"],
    ["one that is found before it", "/usr/local/bin/cp"],
    ["one that is copied", "/usr/sbin/special"],
    ["a library of a known name", "/usr/local/lib/libc.so.6"],
  ])("takes %s for an input", (_what, path) => {
    expect(inputs(path)).toBe(true);
  });

  it.each([
    ["a page", "/var/www/web/index.html"],
    ["a server's configuration", "/etc/nginx/sites-enabled/web"],
    ["a program that no script runs", "/usr/bin/htop"],
    ["what is only in a comment", "/etc/commented"],
    ["a library of a new name", "/usr/lib/x86_64-linux-gnu/libjq.so.1"],
    ["users", "/etc/passwd"],
    ["dpkg's database", "/var/lib/dpkg/status"],
    ["what comes out", "/boot/initrd.img-6.1"],
    ["the linker's cache", "/etc/ld.so.cache"],
    ["what makes it quicker", "/var/cache/ldconfig/aux-cache"],
    ["GRUB's menu", "/boot/grub/grub.cfg"],
  ])("does not take %s for one", (_what, path) => {
    expect(inputs(path)).toBe(false);
  });
});
