import { expect } from "vitest";
import type { TestImage } from "../../../src/operator/test/test-image.ts";
import { defaultChecks } from "../../../src/testing/checks.ts";
import { type DefinedMachine, openLab } from "../../../src/testing/index.ts";
import { machineOf } from "../../../src/testing/lab.ts";
import type { Log } from "../../../src/util/log.ts";

/** Boots an image and sees all its checks hold; then `look` has the machine. */
export async function booted(
  image: TestImage,
  firmware: "bios" | "uefi",
  options: { readonly log: Log; readonly signal: AbortSignal },
  look: (machine: DefinedMachine) => Promise<void> = async () => {},
): Promise<void> {
  const lab = await openLab();
  try {
    const machine = await machineOf(lab, image, { firmware });
    await machine.boot();
    const results = await defaultChecks(image, machine, options);
    expect(results.filter(({ ok }) => !ok)).toEqual([]);
    expect(results.length).toBeGreaterThan(image.spec.health.length + 3);
    await look(machine);
  } finally {
    await lab.close();
  }
}
