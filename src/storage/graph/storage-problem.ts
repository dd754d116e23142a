import type { FieldPath } from "./graph.ts";

/** What is wrong at one field of a definition's storage. */
export interface StorageProblem {
  readonly path: FieldPath;
  readonly message: string;
}
