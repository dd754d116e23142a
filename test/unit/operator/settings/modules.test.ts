import { describe, expect, it } from "vitest";
import { settingsExpect } from "../../../../src/operator/settings/settings.ts";
import { Spec } from "../../../../src/schema/spec.ts";
import { written, wrongIn } from "../../../helpers/builders/settings.ts";
import { bios, esp, root } from "../../../helpers/builders/storage.ts";

describe("modules", () => {
  it("become what is loaded, what parameters are, and what is never loaded", () => {
    const modules = {
      load: ["br_netfilter", "loop"],
      options: { loop: { max_loop: 64 }, nf_conntrack: { hashsize: "65536", acct: 1 } },
      blocked: ["dccp"],
    };
    expect(written({ modules })).toEqual({
      "/etc/modules-load.d/imgbuild.conf": "br_netfilter\nloop\n",
      "/etc/modprobe.d/imgbuild.conf":
        "options loop max_loop=64\noptions nf_conntrack hashsize=65536 acct=1\nblacklist dccp\ninstall dccp /bin/false\n",
    });
    expect(written({ modules: {} })).toEqual({});
  });

  it("have to be modules of the system's kernel where they are loaded", () => {
    const spec = Spec.parse({ hostname: "x", modules: { load: ["loop"], blocked: ["dccp"] } });
    expect(settingsExpect(spec)).toEqual([
      { path: ["modules", "load", 0], kind: "kernel module", name: "loop" },
    ]);
  });

  it.each<[object, string]>([
    [{ load: ["a b"] }, "the name of a kernel module"],
    [{ load: ["a\nb"] }, "the name of a kernel module"],
    [{ load: ["#a"] }, "the name of a kernel module"],
    [{ blocked: [""] }, "the name of a kernel module"],
    [{ options: { a: { "b=c": 1 } } }, "the name of a parameter"],
    [{ options: { a: { b: "c d" } } }, "one word of printable ASCII"],
    [{ options: { a: { b: '"' } } }, "one word of printable ASCII"],
    [{ options: { a: { b: "" } } }, "one word of printable ASCII"],
    [{ unload: ["a"] }, "unknown key"],
  ])("refuses %j", (modules, why) => {
    expect(wrongIn({ modules })).toEqual([expect.stringContaining(why)]);
  });

  it("refuses to block what is loaded, whichever sign is in its name", () => {
    expect(wrongIn({ modules: { load: ["nf-log"], blocked: ["nf_log"] } })).toEqual([
      "modules.blocked[0]: nf_log is in `modules.load` too; leave one of them out",
    ]);
  });

  it("refuses to block what the system is mounted from", () => {
    const table = { type: "gpt", partitions: [bios, esp, root] };
    const server = { boot: {}, storage: { disks: { system: { match: { serial: "S" }, table } } } };
    expect(wrongIn({ ...server, modules: { blocked: ["dccp", "ext4", "vfat", "xfs"] } })).toEqual([
      "modules.blocked[1]: ext4 is needed by what `storage` has; leave it out",
      "modules.blocked[2]: vfat is needed by what `storage` has; leave it out",
    ]);
  });
});
