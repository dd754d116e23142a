import { z } from "zod";

/** Words that several parts of a definition share. */

export const Name = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,31}$/, "1 to 32 lower-case letters, digits, `_` or `-`");
export const AbsolutePath = z
  .string()
  .max(1024)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  .regex(/^\/[^\0-\x1f\x7f]+$/, "an absolute path without control characters")
  .refine(
    (path) =>
      !path
        .split("/")
        .slice(1)
        .some((part) => part === "" || part === "." || part === ".."),
    {
      message: "a path without empty parts, `.` or `..`",
    },
  );
/**
 * What the kernel takes after "console=": a device, and options separated by commas ("ttyS0,115200n8", "hvc0", "uart8250,io,0x3f8,9600").
 * It goes on a command line, where a quote or a space would change the rest.
 */
export const consoleForm = /^[A-Za-z][A-Za-z0-9]{0,15}(,[A-Za-z0-9][A-Za-z0-9.:_-]{0,31}){0,4}$/;
export const Mode = z.string().regex(/^[0-7]{4}$/, 'four octal digits, as in "0644"');
export const Line = z
  .string()
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  .regex(/^[^\0-\x1f\x7f]*$/, "one line of text without control characters");

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
export const UnitName = z
  .string()
  .regex(
    /^[A-Za-z0-9:_.@-]{1,200}\.(service|socket|timer|target|path|mount|slice)$/,
    'a unit name such as "nginx.service"',
  );
/** A URL parser ignores line ends and blanks, apt's sources do not. */
export const webUrl = (protocol: RegExp) =>
  z.url({ protocol }).regex(/^[!-~]+$/, "a URL of printable ASCII without blanks");
