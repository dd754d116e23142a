import { copyFileSync, linkSync } from "node:fs";

/** The same file at another place: a hard link, or a copy where the places are on two filesystems (a /tmp in RAM). */
export function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
