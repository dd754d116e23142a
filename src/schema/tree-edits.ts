import { z } from "zod";
import { Line, Mode, Name } from "./words.ts";

/** What a definition does to a tree beyond placing files. */

const mib = 2 ** 20;

export const Patch = z.strictObject({
  /** As messages call it: the file that it was read from. */
  name: Line.min(1).max(200),
  /** A unified diff, as `diff -u` and `git diff` write them: `+++ b/etc/…` names the file from the root. */
  diff: z.string().max(mib),
});

export const Template = z.strictObject({
  /** Text in which `{{name}}` stands for a value, `{{name | shell}}`, `| json` or `| xml` for a quoted one, `{{"…"}}` for itself. */
  text: z.string().max(mib),
  /** By name. */
  values: z
    .record(
      z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, "a name of letters, digits and `_`"),
      z.union([z.string(), z.number(), z.boolean()]),
    )
    .default({}),
  /** Permissions in octal. */
  mode: Mode.default("0644"),
  /** A user of the new system. */
  owner: Name.default("root"),
  /** A group of the new system. */
  group: Name.default("root"),
});

/** A file that a script reads. */
export const ProvisionFile = z.union([z.string().max(8 * mib), z.strictObject({ base64: z.base64() })]);

export const Provision = z.strictObject({
  /** As messages call it. */
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_.-]{0,63}$/, "a name of lower-case letters, digits, `_`, `.` and `-`"),
  /** Its first line names the interpreter, which is one of the tree. */
  script: z
    .string()
    .max(mib)
    .regex(/^#! ?\/[^\n]+\n/, "a text that begins with `#!` and an interpreter's path"),
  /** Its environment, besides PATH, HOME, LC_ALL, TZ, SOURCE_DATE_EPOCH and IMGBUILD_INPUTS. */
  values: z
    .record(
      z
        .string()
        .regex(
          /^(?!(PATH|HOME|TZ|LC_ALL|SOURCE_DATE_EPOCH|IMGBUILD_INPUTS|LD_.*)$)[A-Z][A-Z0-9_]{0,63}$/,
          "a name of capitals, digits and `_` that is not one of imgbuild's own",
        ),
      z.string().regex(/^[^\0]*$/, "text without NUL"),
    )
    .default({}),
  /** Files in the directory IMGBUILD_INPUTS, by relative path. */
  files: z
    .record(
      z.string().regex(/^(?!.*(^|\/)\.\.?(\/|$))[A-Za-z0-9+~_.-]+(\/[A-Za-z0-9+~_.-]+)*$/, "a relative path"),
      ProvisionFile,
    )
    .default({}),
  /** Whether it reaches the network of the machine that builds; what comes from there is in no lock. */
  network: z.boolean().default(false),
  /** Its bound. */
  timeoutSeconds: z.int().min(1).max(14_400).default(600),
});

export type Patch = z.output<typeof Patch>;
export type Template = z.output<typeof Template>;
export type Provision = z.output<typeof Provision>;
