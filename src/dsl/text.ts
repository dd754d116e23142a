import { readFileSync } from "node:fs";
import { resolve } from "node:path";

/** The text of a file; the path is relative to the definition's directory, in which a definition is evaluated. */
export function readText(path: string): string {
  return readFileSync(resolve(path), "utf8");
}

/** The lines of a file without empty ones and `#` comments, as an authorized_keys file has them. */
export function readLines(path: string): string[] {
  return readText(path)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}
