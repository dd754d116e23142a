import { describe, expect, it } from "vitest";
import { written, wrongIn } from "../../../helpers/builders/settings.ts";

describe("sysctl", () => {
  it("becomes a line each, in the order of the definition", () => {
    const sysctl = { "net.ipv4.ip_forward": 1, "kernel.core_pattern": "|/bin/false", "vm.swappiness": -1 };
    expect(written({ sysctl })).toEqual({
      "/etc/sysctl.d/90-imgbuild.conf":
        "net.ipv4.ip_forward = 1\nkernel.core_pattern = |/bin/false\nvm.swappiness = -1\n",
    });
    expect(written({})).toEqual({});
  });

  it.each([
    "ip_forward",
    "swappiness.vm",
    "net",
    "net.",
    "net..ipv4",
    "net.ipv4/../x",
    "net.a b",
    "net.a=b",
    "-net.ipv4.x",
    "net.a\n",
    "#net.a",
  ])("refuses the name %j", (name) => {
    expect(wrongIn({ sysctl: { [name]: 1 } })).toEqual([
      expect.stringContaining('needs the name of a kernel setting such as "net.ipv4.ip_forward"'),
    ]);
  });

  it.each(["", " 1", "1 ", "1\n2", "a\0"])("refuses the value %j", (value) => {
    expect(wrongIn({ sysctl: { "vm.swappiness": value } })).not.toEqual([]);
  });

  it.each([1.5, true, null])("refuses the value %j, which is no whole number", (value) => {
    expect(wrongIn({ sysctl: { "vm.swappiness": value } })).not.toEqual([]);
  });

  it("refuses a setting that is there twice in two forms", () => {
    expect(wrongIn({ sysctl: { "net.ipv4.ip_forward": 1, "net/ipv4/ip_forward": 0 } })).toEqual([
      'sysctl["net/ipv4/ip_forward"]: is the setting `net.ipv4.ip_forward` once more; leave one of them out',
    ]);
    const named = { "net.ipv4.conf.eth0/1.forwarding": 1, "net/ipv4/conf/eth0.1/forwarding": 1 };
    expect(wrongIn({ sysctl: named })).toHaveLength(1);
    expect(wrongIn({ sysctl: { "net.ipv4.conf.a.rp_filter": 1, "net.ipv4.conf.b.rp_filter": 1 } })).toEqual(
      [],
    );
  });

  it("refuses another file in its place, and names both", () => {
    const path = "/etc/sysctl.d/90-imgbuild.conf";
    const sysctl = { "vm.swappiness": 1 };
    expect(wrongIn({ sysctl, files: { [path]: { content: "" } } })).toEqual([
      `sysctl: ${path} collides with the file ${path}; needs a path of its own`,
    ]);
    const diff = `--- a${path}\n+++ b${path}\n@@ -1 +1 @@\n-a\n+b\n`;
    expect(wrongIn({ sysctl, patches: [{ name: "p", diff }] })).toEqual([
      `patches[0].diff: p patches ${path}, in whose place \`sysctl\` puts another file; leave one of them out`,
    ]);
  });
});
