import { z } from "zod";

const units: Readonly<Record<string, number>> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

/** A size in bytes, written as "512MiB", "20GiB" or a whole number of bytes; a positive multiple of 1 MiB. */
export const Size = z
  .union([
    z.number(),
    z.string().regex(/^[1-9][0-9]{0,9}(KiB|MiB|GiB|TiB)$/, 'a size such as "512MiB" or "20GiB"'),
  ])
  .transform((size) => (typeof size === "number" ? size : parseSize(size)))
  .refine(
    (bytes) => Number.isSafeInteger(bytes) && bytes > 0 && bytes % 2 ** 20 === 0,
    "a positive multiple of 1 MiB",
  );

function parseSize(text: string): number {
  const unit = text.slice(-3);
  return Number(text.slice(0, -3)) * (units[unit] ?? Number.NaN);
}
