import { mkdir, stat, writeFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { requireParent } from "../../system/files/parent.ts";
import { during, Fail } from "../../util/fail.ts";

/** A report as JSON, and beside it the page to look at. */
export async function writeReport(file: string, report: unknown, page: string): Promise<void> {
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
  await writeFile(pageBeside(file), page);
}

/**
 * Refuses a place that cannot be written, before what is to be reported has begun. The directory has to be there, if it was named; `output` is another
 * file of the same command.
 */
export async function placeForReport(file: string, named: boolean, output?: string): Promise<void> {
  await during("the report", async () => {
    if (output !== undefined && [file, pageBeside(file)].some((one) => resolve(one) === resolve(output)))
      throw new Fail(`${output} is where the output goes`, { hint: "name another file" });
    if (!named) await mkdir(dirname(file), { recursive: true });
    await requireParent(file);
    if ((await stat(file).catch(() => undefined))?.isDirectory()) throw new Fail(`${file} is a directory`);
  });
}

/** Where both are, for a person. */
export function reportLine(file: string): string {
  return `report: ${pageBeside(file)}, and for programs ${basename(file)}`;
}

/** "out/report.html" of "out/report.json". */
function pageBeside(file: string): string {
  return `${file.replace(/\.json$/, "")}.html`;
}
