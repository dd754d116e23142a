import { describe, expect, it } from "vitest";
import {
  loadOrder,
  missingDependencies,
  moduleName,
  parseModulesDep,
} from "../../../../src/operator/base/modules.ts";

const dep = parseModulesDep(
  [
    "kernel/fs/overlayfs/overlay.ko.xz:",
    "kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/crypto/crc32c_generic.ko.xz",
    "kernel/fs/jbd2/jbd2.ko.xz: kernel/crypto/crc32c_generic.ko.xz",
    "kernel/crypto/crc32c_generic.ko.xz:",
    "kernel/drivers/net/virtio-net.ko: kernel/net/failover.ko.zst",
    "kernel/net/failover.ko.zst:",
    "",
  ].join("\n"),
);

describe("parseModulesDep", () => {
  it("reads what depmod writes and refuses what it would not", () => {
    expect(dep.size).toBe(6);
    expect(dep.get("kernel/fs/overlayfs/overlay.ko.xz")).toEqual([]);
    expect(dep.get("kernel/drivers/net/virtio-net.ko")).toEqual(["kernel/net/failover.ko.zst"]);
    expect(() => parseModulesDep("kernel/a.ko\n")).toThrow('modules.dep: not "module: modules": kernel/a.ko');
  });
});

describe("loadOrder", () => {
  it("has every module once, behind all it needs, by the name that modprobe takes", () => {
    expect(loadOrder(dep, ["ext4", "overlay", "jbd2", "virtio_net"]).map(moduleName)).toEqual([
      "crc32c_generic",
      "jbd2",
      "ext4",
      "overlay",
      "failover",
      "virtio_net",
    ]);
  });

  it("refuses a module that is not there, a need that is not, and a circle", () => {
    expect(() => loadOrder(dep, ["zfs"])).toThrow("the base's kernel has no module zfs");
    expect(() => loadOrder(parseModulesDep("a.ko: b.ko\n"), ["a"])).toThrow("does not know b.ko");
    expect(() => loadOrder(parseModulesDep("a.ko: b.ko\nb.ko: a.ko\n"), ["a"])).toThrow("a.ko needs itself");
  });
});

describe("missingDependencies", () => {
  it("names each module whose need was pruned", () => {
    const all = new Set(dep.keys());
    expect(missingDependencies(dep, all)).toEqual([]);
    all.delete("kernel/crypto/crc32c_generic.ko.xz");
    expect(missingDependencies(dep, all)).toEqual([
      "kernel/fs/ext4/ext4.ko.xz needs kernel/crypto/crc32c_generic.ko.xz",
      "kernel/fs/jbd2/jbd2.ko.xz needs kernel/crypto/crc32c_generic.ko.xz",
    ]);
  });
});
