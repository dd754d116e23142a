import { basename } from "node:path";
import type { z } from "zod";
import type { Patch, Provision, ProvisionFile, Template } from "../schema/tree-edits.ts";
import { readBeside, readText } from "./text.ts";

type PatchInput = z.input<typeof Patch>;
type TemplateInput = z.input<typeof Template>;
type ProvisionInput = z.input<typeof Provision>;

/** A unified diff beside the definition, as `patch("patches/sshd.diff")`. */
export function patch(path: string): PatchInput {
  return { name: path, diff: readText(path) };
}

/** A file beside the definition with places for values: `template("site.conf", { port: 80 })`. */
export function template(
  path: string,
  values: NonNullable<TemplateInput["values"]>,
  more: Omit<TemplateInput, "text" | "values"> = {},
): TemplateInput {
  return { text: readText(path), values, ...more };
}

/** A script beside the definition, called as its file: `script("provision/site.sh", { values: { SITE: "example.org" } })`. */
export function script(path: string, more: Partial<ProvisionInput> = {}): ProvisionInput {
  return { name: basename(path), script: readText(path), ...more };
}

/** A file of any bytes, as an input of a script. */
export function readBase64(path: string): z.input<typeof ProvisionFile> {
  return { base64: readBeside(path).toString("base64") };
}
