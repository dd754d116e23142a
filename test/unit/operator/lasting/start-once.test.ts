import { describe, expect, it } from "vitest";
import { foundIn } from "../../../../src/operator/lasting/start-once.ts";

const host = "name web\nboot b-1\n";

describe("the rescue system of a running host", () => {
  it.each(["entry systemd-boot", "entry grub ext4 yes", "entry grub xfs yes"])("is found by %s", (entry) => {
    expect(foundIn(`${host}${entry}\n`)).toEqual({ name: "web", bootId: "b-1", loader: entry.split(" ")[1] });
  });

  it.each([
    ["", /has no entry for a rescue system/],
    ["entry grub btrfs yes\n", /GRUB cannot write to \/boot\/grub \(btrfs\)/],
    [
      "entry grub ext4 no\n",
      /\(ext4, not on a partition itself\), so it would start the rescue system again/,
    ],
  ])("is refused where it is not there, or would be started again and again: %j", (entry, message) => {
    expect(() => foundIn(`${host}${entry}`)).toThrow(message);
  });
});
