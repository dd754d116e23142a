import { z } from "zod";
import { defineStep } from "../step/step.ts";

/** Enables, disables and masks units in the tree; their files were written before. */
export const setServices = defineStep({
  kind: "set-services",
  summary: "enable, disable and mask services",
  schema: z.strictObject({
    enable: z.array(z.string()),
    disable: z.array(z.string()),
    mask: z.array(z.string()),
  }),
  run: async ({ enable, disable, mask }, context) => {
    for (const [verb, units] of [
      ["enable", enable],
      ["disable", disable],
      ["mask", mask],
    ] as const)
      if (units.length > 0)
        await context.chroot(["systemctl", "--quiet", verb, "--", ...units], {
          hint: "a unit of `services` is neither in a package nor declared with `unit`",
        });
  },
});
