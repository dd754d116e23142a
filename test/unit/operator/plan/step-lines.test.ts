import { describe, expect, it } from "vitest";
import { stepLines } from "../../../../src/operator/plan/step-lines.ts";
import { holding } from "../../../helpers/builders/storage.ts";
import { stepsFor } from "../../../helpers/builders/storage-steps.ts";

const luks = {
  ...{ type: "luks", name: "crypt", key: "disk", recoveryKey: "recovery" },
  content: { type: "xfs", mount: "/srv" },
};

/** A plan for a disk with an encrypted volume and a root. */
function planOf() {
  const { prepare, create, mount, unmount, close } = stepsFor([[holding(luks)]]);
  const steps = [...create, ...mount, ...unmount, ...close];
  return { version: 1 as const, hostname: "web", definition: "d", prepare: prepare(), steps };
}

describe("stepLines", () => {
  it("lists the steps after the first write, a line each", () => {
    const plan = planOf();
    const lines = stepLines(plan, false);
    expect(lines).toHaveLength(plan.steps.length);
    expect(lines.slice(1, 4)).toEqual([
      "  2. encrypting data as crypt",
      "  3. opening data as crypt",
      expect.stringMatching(/^ {2}4\. formatting /),
    ]);
  });

  it("lists all of them with what each runs, and with names in the place of what only the machine knows", () => {
    const lines = stepLines(planOf(), true);
    const from = lines.indexOf("  3. opening data as crypt");
    expect(lines.slice(0, 3)).toEqual([
      "before the first write:",
      "  1. closing what is open on the disks",
      "       # close what is open on the planned disks",
    ]);
    expect(lines.slice(from, from + 5)).toEqual([
      "  3. opening data as crypt",
      "       # unless it is open:",
      "         modprobe --all dm-crypt",
      "         cryptsetup open --type=luks2 --batch-mode --key-file=- <partition 1 of disk a> crypt < <secret disk>",
      "         udevadm settle --timeout=60",
    ]);
    const text = lines.join("\n");
    expect(text).toMatch(/sfdisk --quiet .* <disk a> << END\n {7}label: gpt\n/);
    expect(text).toMatch(/luksAddKey .*--keyfile-size=<length of disk> .* < <secret disk> <secret recovery>/);
    expect(text).toMatch(/mkfs\.xfs -q -f -m uuid=\S+ \/dev\/mapper\/crypt\n/);
    expect(text).toMatch(/mount -t xfs -o noatime \/dev\/mapper\/crypt \/mnt\/target\/srv/);
  });
});
