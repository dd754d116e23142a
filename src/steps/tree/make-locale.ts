import { z } from "zod";
import { defineStep } from "../step/step.ts";

/** Compiling one takes seconds, and minutes where the processor is emulated. */
const timeoutMs = 1_800_000;

/** The locale that /etc/locale.gen names: the package `locales` brings only what they are made of. */
export const makeLocale = defineStep({
  kind: "make-locale",
  summary: "make the locale of the system",
  schema: z.strictObject({}),
  run: async (_input, context) => {
    await context.chroot(["locale-gen"], {
      timeoutMs,
      signal: context.signal,
      hint: "is locales among the packages?",
    });
  },
});
