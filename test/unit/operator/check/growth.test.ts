import { describe, expect, it } from "vitest";
import { checkSpec } from "../../../../src/operator/check/check.ts";
import { withGrowth } from "../../../../src/operator/check/growth.ts";
import { Spec } from "../../../../src/schema/spec.ts";
import { exitCodes } from "../../../../src/util/fail.ts";
import { lockOf, serverSpec } from "../../../helpers/builders/deployable.ts";

const spec = serverSpec({ packages: { install: ["systemd-repart", "sudo"] } });
const lock = lockOf(spec, ["systemd", "systemd-repart"]);
const layout = (partitions: readonly object[], type = "gpt") =>
  Spec.parse({
    ...{ hostname: "web", boot: {} },
    storage: { disks: { system: { match: { serial: "S" }, table: { type, partitions } } } },
  });
const ext4 = (name: string, mount: string, more: object = {}) => ({
  ...{ name, type: "linux", size: "1GiB", content: { type: "ext4", mount } },
  ...more,
});

describe("a system that grows to its disk", () => {
  it("has a unit for it, and a definition for its last partition's type alone", () => {
    const grown = withGrowth(spec, lock);
    const added = Object.keys(grown.files).filter((path) => !(path in spec.files));
    expect(added).toEqual(["/usr/lib/imgbuild/repart.d/10-root.conf"]);
    expect(grown.files[added[0]!]?.content).toBe("[Partition]\nType=4f68bce3-e8cd-4db1-96e7-fbcaf984b709\n");
    const { state, unit } = grown.services["imgbuild-grow.service"]!;
    expect(state).toBe("enabled");
    expect(unit).toMatch(
      /^ExecStart=\/usr\/bin\/systemd-repart --dry-run=no --no-pager --definitions=\/usr\/lib\/imgbuild\/repart\.d\nExecStart=\/usr\/lib\/systemd\/systemd-growfs \/$/m,
    );
    expect(grown.storage).toEqual(spec.storage);
    expect(checkSpec(Spec.parse(grown))).toEqual(checkSpec(spec));
  });

  it("tells earlier partitions of the same type apart by their order", () => {
    const two = layout([
      ext4("root", "/", { type: "linux-root" }),
      ext4("var", "/var"),
      ext4("srv", "/srv", { size: "rest" }),
    ]);
    const grown = withGrowth(two, lock);
    expect(Object.keys(grown.files)).toEqual([
      "/usr/lib/imgbuild/repart.d/10-var.conf",
      "/usr/lib/imgbuild/repart.d/11-srv.conf",
    ]);
    expect(grown.services["imgbuild-grow.service"]?.unit).toMatch(/systemd-growfs \/srv$/m);
  });

  it("makes anew, as an image does, what a host would keep", () => {
    const keep = { uuid: "6e6f7a8c-52a5-4f0e-9c1b-0b5e7d1f1f0a" };
    const kept = { ...ext4("home", "/home"), content: { type: "ext4", mount: "/home", keep } };
    const grown = withGrowth(layout([ext4("root", "/"), kept]), lock);
    expect(grown.services["imgbuild-grow.service"]?.unit).toMatch(/systemd-growfs \/home$/m);
  });

  it("needs the package that grows partitions", () => {
    expect(() => withGrowth(spec, lockOf(spec, ["systemd"]))).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/systemd-repart, which is not among/),
        hint: expect.stringMatching(/packages\.install/),
      }),
    );
    const bookworm = { ...spec, system: { ...spec.system, suite: "bookworm" as const } };
    expect(() => withGrowth(bookworm, lockOf(spec, ["systemd"]))).not.toThrow();
  });

  it.each<[Spec, RegExp]>([
    [
      layout([ext4("root", "/"), { name: "swap", type: "linux", size: "64MiB" }]),
      /the last partition, swap, is no ext4/,
    ],
    [Spec.parse({ hostname: "box" }), /writes 0 disks/],
  ])("is refused as wrong usage where it cannot be", (one, message) => {
    expect(() => withGrowth(one, lock)).toThrow(
      expect.objectContaining({ exitCode: exitCodes.usage, message: expect.stringMatching(message) }),
    );
  });
});
