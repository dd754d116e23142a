import { parseWanted } from "../../debian/resolve/request.ts";
import type { Spec } from "../../schema/spec.ts";
import type { Expectation } from "../../steps/tree/check-tree.ts";
import type { Problem } from "../../util/problem.ts";

/** One word of a definition that becomes a few lines in files of known places; a definition without it leaves no trace. */
export interface Setting {
  readonly field: keyof Spec;
  /** What it writes. */
  readonly files: (spec: Spec) => readonly SettingFile[];
  /** What a schema cannot see. */
  readonly problems?: (spec: Spec) => readonly Problem[];
  /** Units that it needs enabled. */
  readonly enables?: (spec: Spec) => readonly string[];
  /** What the tree must have, or take, once it is written. */
  readonly expected?: (spec: Spec) => readonly Expectation[];
}

export interface SettingFile {
  readonly path: string;
  readonly content: string;
  readonly mode?: string;
}

/** Whether a definition asks for a package: by name alone, or in a version or of a suite of one's choice. */
export function asksFor({ packages }: Pick<Spec, "packages">, name: string): boolean {
  return packages.install.map(parseWanted).some((one) => one.name === name && !one.refused);
}
