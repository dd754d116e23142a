import { describe, expect, it } from "vitest";
import { withImageSize } from "../../../../src/operator/check/image-size.ts";
import { Spec } from "../../../../src/schema/spec.ts";
import { exitCodes } from "../../../../src/util/fail.ts";
import { serverSpec } from "../../../helpers/builders/deployable.ts";

describe("an image's size given by hand", () => {
  it("takes the place of the definition's, and of nothing else", () => {
    const spec = serverSpec();
    const sized = withImageSize(spec, "8GiB");
    expect(sized.storage?.disks.system).toMatchObject({ imageSize: 8 * 2 ** 30 });
    expect({ ...sized, storage: spec.storage }).toEqual(spec);
    expect(sized.storage?.disks.data).toEqual(spec.storage?.disks.data);
  });

  it.each([
    ["8", /--size 8: /],
    ["8GB", /a size such as/],
    ["0GiB", /a size such as/],
    ["700MiB", /--size 700MiB: 700 MiB is too small; needs 771 MiB for the partitions and their table/],
  ])("of %s is refused as wrong usage", (size, message) => {
    expect(() => withImageSize(serverSpec(), size)).toThrow(
      expect.objectContaining({ exitCode: exitCodes.usage, message: expect.stringMatching(message) }),
    );
  });

  it("is refused where there is no disk to size", () => {
    expect(() => withImageSize(Spec.parse({ hostname: "box" }), "8GiB")).toThrow(/has no storage/);
  });
});
