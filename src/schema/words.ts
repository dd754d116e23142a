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
