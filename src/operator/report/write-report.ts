import { writeFile } from "node:fs/promises";
import { basename } from "node:path";

/** A report as JSON, and beside it the page to look at. */
export async function writeReport(file: string, report: unknown, page: string): Promise<void> {
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
  await writeFile(pageBeside(file), page);
}

/** Where both are, for a person. */
export function reportLine(file: string): string {
  return `report: ${pageBeside(file)}, and for programs ${basename(file)}`;
}

/** "out/report.html" of "out/report.json". */
function pageBeside(file: string): string {
  return `${file.replace(/\.json$/, "")}.html`;
}
