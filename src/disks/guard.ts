import { stat } from "node:fs/promises";
import { Fail } from "../util/fail.ts";

/** The base carries this file; without it this machine is the operator's, whose disks are nobody's business. */
const baseMarker = "/etc/imgbuild/base";

/**
 * Passes only what may be written as a disk: a regular file anywhere; a block device in the base alone.
 * Every step that writes a disk or an image opens no path that has not been through here.
 */
export async function refuseHostDisks(path: string, marker: string = baseMarker): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new Fail(`cannot look at ${path}: ${error.code ?? error.message}`);
  });
  if (found.isFile()) return;
  if (!found.isBlockDevice()) throw new Fail(`${path} is neither a regular file nor a block device`);
  if (!(await inBase(marker)))
    throw new Fail(`${path} is a block device of this machine, and only the base writes to disks`, {
      hint: "build into a file, or deploy to a host",
    });
}

/** Whether this process runs in the base. */
export async function inBase(marker: string = baseMarker): Promise<boolean> {
  return stat(marker).then(
    (found) => found.isFile(),
    () => false,
  );
}
