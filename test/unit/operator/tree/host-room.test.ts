import { describe, expect, it } from "vitest";
import { hostRoom } from "../../../../src/operator/tree/host-room.ts";

const mib = 2 ** 20;
const sizes = { baseBytes: 110 * mib, packagesBytes: 76 * mib, treeBytes: 100 * mib };
const facts = (available: number, cacheMib: number, lacksForTree?: string[]) => ({
  ...{ memoryMib: { total: available + 200, available }, cacheMib },
  ...(lacksForTree === undefined ? {} : { lacksForTree }),
});
const sum = "unpacked 304 + packed 100 + work 128";

describe("where a tree is made beside the old system", () => {
  it("is RAM where half of what is available stays the old system's, else the disk, beside base, tree and initramfs", () => {
    const room = { mib: 532, sum, treeBytes: 100 * mib };
    expect(hostRoom(facts(2 * (532 + 256), 0), sizes)).toEqual({ on: "memory", ...room });
    const onDisk = 532 + 2 * 110 + 2 * 100 + 256;
    expect(hostRoom(facts(2 * (532 + 256) - 1, onDisk), sizes)).toEqual({ on: "disk", ...room });
    expect(hostRoom(facts(256 + 48, onDisk), sizes)).toMatchObject({ on: "disk" });
  });

  it("is nowhere where neither has room, or RAM is short of what programs take, with the numbers", () => {
    expect(hostRoom(facts(1000, 1207), sizes)).toEqual({
      problem: `making a tree takes 532 MiB (${sum}), in RAM beside 256 MiB for programs: half of 1000 MiB may be used there, and of its disk 531 MiB`,
    });
    expect(hostRoom(facts(303, 9000), sizes)).toHaveProperty("problem");
    expect(hostRoom(facts(1000, 0), sizes)).toMatchObject({
      problem: expect.stringMatching(/of its disk 0 MiB$/),
    });
  });

  it("is nowhere where the kernel lacks what it is made by, however much room there is", () => {
    expect(hostRoom(facts(9000, 9000, ["loop devices", "user namespaces"]), sizes)).toEqual({
      problem: "the old system's kernel does not give loop devices, user namespaces",
    });
    expect(hostRoom(facts(9000, 9000, []), sizes)).toMatchObject({ on: "memory" });
  });
});
