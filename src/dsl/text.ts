import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { reasonOf } from "../util/fail.ts";

/** The text of a file; the path is relative to the definition's directory, in which a definition is evaluated. */
export function readText(path: string): string {
  return readBeside(path).toString("utf8");
}

/** The bytes of a file; an error names it as the definition does. */
export function readBeside(path: string): Buffer {
  try {
    return readFileSync(resolve(path));
  } catch (error) {
    throw new Error(`${path} cannot be read: ${reasonOf(error)}; paths start at the definition's directory`);
  }
}

/** The lines of a file without empty ones and `#` comments, as an authorized_keys file has them. */
export function readLines(path: string): string[] {
  return readText(path)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}
