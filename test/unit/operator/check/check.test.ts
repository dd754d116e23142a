import { describe, expect, it } from "vitest";
import { checkSpec } from "../../../../src/operator/check/check.ts";
import { Spec } from "../../../../src/schema/spec.ts";
import { bios, esp, keptDisk, root } from "../../../helpers/builders/storage.ts";

/** The problems of a definition as "path: message". */
function problems(change: Record<string, unknown>): string[] {
  const spec = Spec.parse({ hostname: "web", ...change });
  return checkSpec(spec).map(({ path, message }) => `${path.join(".")}: ${message}`);
}

const system = (partitions: readonly object[], more: object = {}) => ({
  match: { serial: "SYS" },
  table: { type: "gpt", partitions },
  ...more,
});
const good = { disks: { system: system([bios, esp, root]), data: keptDisk } };
const withStorage = (storage: object) => problems({ storage, boot: {} });

describe("checkSpec", () => {
  it("has nothing to say of good definitions", () => {
    expect(problems({})).toEqual([]);
    expect(withStorage(good)).toEqual([]);
    expect(
      problems({
        packages: { install: ["sudo/trixie-backports", "locales", "systemd-resolved=257.9-1"] },
        locale: "en_GB.UTF-8",
        network: { a: { match: { name: "en*" }, dhcp: "yes" } },
        users: { a: { sudo: true, uid: 1000, hashedPasswordSecret: "pw" }, b: { uid: 1001 } },
        secrets: { pw: { file: "pw.age" }, key: { file: "key.age" } },
        hostKeys: { secret: "key" },
      }),
    ).toEqual([]);
  });

  it("wants storage and boot together", () => {
    expect(problems({ storage: good })).toEqual([
      "storage: needs `boot` beside it; `boot: {}` serves UEFI and BIOS",
    ]);
    expect(problems({ boot: {} })).toEqual(["boot: needs `storage` to boot from"]);
  });

  it("wants a key file where crypttab can name it (F39)", () => {
    const content = { type: "luks", name: "c", key: "k", unlock: { type: "key-file" } };
    const data = {
      name: "d",
      type: "linux",
      size: "1GiB",
      content: { ...content, content: { type: "ext4", mount: "/d" } },
    };
    const keyAt = (path: string) =>
      problems({
        ...{ boot: {}, storage: { disks: { system: system([bios, esp, data, root]) } } },
        secrets: { k: { file: "k.age", path } },
      });
    expect(keyAt("/etc/keys/data-1.key")).toEqual([]);
    // What systemd's generator makes of these in a unit is another path, or two words, or a variable.
    for (const path of [
      "/etc/a key",
      "/etc/it's",
      "/etc/$key",
      "/etc/k:UUID=x",
      "/etc/k#",
      "/etc/k\\x",
      "/etc/%k",
    ])
      expect(keyAt(path), path).toEqual([expect.stringMatching(/^secrets.k.path: may hold letters, digits/)]);
  });

  const linux = (mount: string, more: object = {}) => ({
    name: "x",
    type: "linux",
    size: "1MiB",
    content: { type: "ext4", mount },
    ...more,
  });
  it.each<[string, object, string]>([
    [
      "no root",
      { disks: { system: system([bios, esp]) } },
      "storage.disks: needs one ext4, xfs, btrfs or f2fs mounted at `/`",
    ],
    [
      "a kept root",
      {
        disks: {
          system: system([bios, esp]),
          data: { ...keptDisk, keep: [{ ...keptDisk.keep[0], mount: "/" }] },
        },
      },
      "storage.disks.data.keep.0.mount: needs one ext4",
    ],
    [
      "a mount point twice",
      { disks: { ...good.disks, system: system([bios, esp, linux("/srv"), root]) } },
      "storage.disks.data.keep.0.mount: /srv is mounted twice",
    ],
    [
      "a partition name twice",
      { disks: { system: system([bios, esp, linux("/a"), linux("/b"), root]) } },
      "storage.disks.system.table.partitions.3.name: x names another partition",
    ],
    [
      "rest before the end",
      { disks: { system: system([bios, root, esp]) } },
      'storage.disks.system.table.partitions.1.size: "rest" is only for the last partition',
    ],
    [
      "content in bios-boot",
      { disks: { system: system([{ ...bios, content: { type: "ext4", mount: "/b" } }, esp, root]) } },
      "storage.disks.system.table.partitions.0.content: a bios-boot partition holds no filesystem",
    ],
    [
      "an empty ESP",
      { disks: { system: system([bios, { name: "esp", type: "esp", size: "256MiB" }, root]) } },
      "storage.disks.system.table.partitions.1.content: an ESP needs vfat content",
    ],
    [
      "an image too small",
      { disks: { system: system([bios, esp, root], { imageSize: "256MiB" }) } },
      "storage.disks.system.imageSize: 256 MiB is too small; needs 259 MiB for the partitions and their table, and more for the rest",
    ],
    [
      "two disks of one identity",
      { disks: { ...good.disks, data: { ...keptDisk, match: { serial: "SYS" } } } },
      "storage.disks.data.match: matches the same disk as `system`",
    ],
    [
      "no ESP",
      { disks: { system: system([bios, root]) } },
      "boot.firmware: uefi needs an ESP mounted at /efi",
    ],
    [
      "no bios-boot",
      { disks: { system: system([esp, root]) } },
      "boot.firmware: bios needs a bios-boot partition",
    ],
  ])("refuses %s", (_name, storage, expected) => {
    expect(
      withStorage(storage).some((one) => one.startsWith(expected)),
      withStorage(storage).join("\n"),
    ).toBe(true);
  });

  const apart = {
    name: "xb",
    type: "xbootldr",
    size: "512MiB",
    content: { type: "vfat", mount: "/xbootldr" },
  };
  const withApart = (partitions: object[], boot: object = {}, more: object = {}) =>
    problems({ storage: { ...good, disks: { ...good.disks, system: system(partitions), ...more } }, boot });

  it.each(["systemd-boot", "uki"])("lets kernels of %s lie beside the ESP", (loader) => {
    expect(withApart([bios, esp, apart, root], { loader })).toEqual([]);
  });

  it.each<[string, string[], string]>([
    [
      "with GRUB",
      withApart([bios, esp, apart, root], { loader: "grub" }),
      'which only the loaders "systemd-boot"',
    ],
    [
      "under BIOS",
      withApart([bios, esp, apart, root], { firmware: ["bios"] }),
      "under UEFI; for GRUB put /boot",
    ],
    [
      "on a disk without an ESP",
      withApart(
        [bios, esp, root],
        {},
        { other: { match: { serial: "O" }, table: { type: "gpt", partitions: [apart] } } },
      ),
      "storage.disks.other: has an extended boot loader partition and no ESP",
    ],
    [
      "that firmware cannot read",
      withApart([bios, esp, { ...apart, content: { type: "ext4", mount: "/xbootldr" } }, root]),
      "needs vfat content, which firmware can read",
    ],
    [
      "at /boot, which dpkg could not update",
      withApart([bios, esp, { ...apart, content: { type: "vfat", mount: "/boot" } }, root]),
      "/boot is not accepted; an ESP needs /efi",
    ],
  ])("refuses an extended boot loader partition %s", (_what, found, message) => {
    expect(
      found.some((one) => one.includes(message)),
      found.join("\n"),
    ).toBe(true);
  });

  it.each([{ loader: "grub", firmware: ["uefi"] }, { firmware: ["uefi", "bios"] }])(
    "refuses a root with verity that %j starts, which carries no hash",
    (boot) => {
      const partitions = [
        bios,
        esp,
        { ...root, size: "1GiB", content: { ...root.content, verity: true } },
        { name: "tree", type: "linux-root-verity", size: "16MiB", content: { type: "verity-hash" } },
        { name: "var", type: "linux-var", size: "rest", content: { type: "ext4", mount: "/var" } },
      ];
      const storage = {
        disks: { system: system(partitions) },
        overlays: { "/etc": { upper: "memory" } },
      };
      expect(problems({ storage, boot })).toEqual([
        expect.stringContaining("boot: a root with `verity` needs"),
      ]);
      expect(problems({ storage, boot: { firmware: ["uefi"] } })).toEqual([]);
    },
  );

  const certificate = "-----BEGIN CERTIFICATE-----";
  const own = { key: "sb", certificate };
  const loaders = (boot: object, suite = "trixie") =>
    problems({ storage: good, boot, system: { suite }, secrets: { sb: { file: "sb.age" } } });

  it.each([
    { loader: "uki" },
    { loader: "uki", secureBoot: own },
    { secureBoot: own },
    { loader: "grub" },
    { loader: "grub", firmware: ["bios"] },
    { loader: "grub", secureBoot: "debian" },
    { secureBoot: "debian" },
  ])("has nothing to say of the bootloader %j", (boot) => {
    expect(loaders(boot)).toEqual([]);
  });

  it.each<[object, string, string?]>([
    [{ loader: "uki", firmware: ["bios"] }, "boot.loader: uki needs `uefi`"],
    [{ secureBoot: own, firmware: ["bios"] }, "boot.secureBoot: needs `uefi`"],
    [{ loader: "uki", secureBoot: "debian" }, 'boot.secureBoot: "debian" signs no unified images'],
    [{ loader: "grub", secureBoot: own }, "boot.secureBoot: a key of your own needs the loader"],
    [
      { secureBoot: { ...own, key: "other" } },
      "boot.secureBoot.key: `other` is not in secrets; accepted are sb",
    ],
    [{ secureBoot: "debian" }, "boot.secureBoot: bookworm has no signed systemd-boot", "bookworm"],
  ])("refuses the bootloader %j", (boot, message, suite) => {
    const found = loaders(boot, suite);
    expect(found.length).toBe(1);
    expect(found[0]).toContain(message);
  });

  it.each<[Record<string, unknown>, string]>([
    [{ users: { a: { sudo: true } } }, "users.a.sudo: needs the package `sudo`"],
    [
      { users: { a: { sudo: true } }, packages: { install: ["sudo-"] } },
      "users.a.sudo: needs the package `sudo`",
    ],
    [
      { users: { a: { hashedPasswordSecret: "pw" } } },
      "users.a.hashedPasswordSecret: `pw` needs an entry of that name in secrets",
    ],
    [
      {
        users: { a: { hashedPasswordSecret: "pw", hashedPassword: "$6$a$b" } },
        secrets: { pw: { file: "pw.age" } },
      },
      "users.a.hashedPasswordSecret: excludes `hashedPassword`",
    ],
    [{ users: { a: { uid: 1000 }, b: { uid: 1000 } } }, "users.b.uid: 1000 is the id of `a` too"],
    [{ users: { root: { uid: 1000 } } }, "users.root.uid: root is 0"],
    [
      { files: { "/etc/a": { content: "" }, "/etc/a/b": { content: "" } } },
      "files./etc/a/b: /etc/a/b collides with the file /etc/a",
    ],
    [
      { files: { "/etc/a": { content: "" } }, secrets: { s: { file: "s.age", path: "/etc/a" } } },
      "secrets.s.path: /etc/a collides with the file /etc/a",
    ],
    [
      { network: { a: { match: { name: "en*" }, dhcp: "yes" } } },
      "network.a.dhcp: needs the package `systemd-resolved`",
    ],
    [{ locale: "en_GB.UTF-8" }, "locale: en_GB.UTF-8 needs the package `locales`"],
    [{ services: { "a.service": {} } }, "services.a.service: says nothing"],
    [
      { services: { "a.service": { state: "masked", unit: "[Unit]\n" } } },
      "services.a.service.state: a masked unit cannot",
    ],
    [
      { hostKeys: { secret: "key" }, secrets: { other: { file: "o.age" } } },
      "hostKeys.secret: `key` is not in secrets; accepted are other",
    ],
  ])("refuses %j", (change, expected) => {
    const [first, ...more] = problems(change);
    expect(first).toContain(expected);
    expect(more).toEqual([]);
  });

  it("refuses a timer that systemd cannot read", () => {
    const text = "[Timer]\nOnCalendar=hourlyy\n";
    expect(problems({ services: { "a.timer": { unit: text }, "b.timer": { dropIn: text } } })).toEqual([
      expect.stringMatching(/^services\.a\.timer\.unit: OnCalendar=hourlyy: hourlyy is neither/),
      expect.stringMatching(/^services\.b\.timer\.dropIn: OnCalendar=hourlyy: /),
    ]);
    expect(
      problems({ services: { "a.timer": { unit: "[Timer]\nOnCalendar=\nOnCalendar=hourly\n" } } }),
    ).toEqual([]);
  });
});
